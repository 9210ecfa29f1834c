"""The parts of the model benchmark that can be wrong without anyone noticing."""

import sys

import numpy as np
import pytest

from benchmarks.measured_process import MeasuredProcess, ProcessEnded
from benchmarks.model_agreement import agreement
from benchmarks.model_cost import cost, gemm_peaks
from benchmarks.model_report import rows, same_answers
from indexer.modeling.bert import BertConfig
from indexer.modeling.ram import RamConfig
from indexer.modeling.swin import SwinConfig
from indexer.modeling.tag2text import Tag2TextConfig

SWIN_LARGE = SwinConfig(384, 4, 192, (2, 2, 18, 2), (6, 12, 24, 48), 12)
SWIN_BASE = SwinConfig(384, 4, 128, (2, 2, 18, 2), (4, 8, 16, 32), 12)

ANSWERER = """
from benchmarks.measured_process import measured, serve
def double(number):
    print("noise")
    return measured(lambda: {"doubled": 2 * number}, "cpu")
def fail(): raise ValueError("no")
serve({"double": double, "fail": fail, "end": lambda: exit(3)})
"""


def test_operations_counted() -> None:
    """Swin-L and the tag decoder over 4,585 tags, in GFLOP, as counted elsewhere; ours needs a tenth less."""
    head = BertConfig(768, 4, 3072, 2, 512, self_attention=False)
    counted = cost(RamConfig(SWIN_LARGE, head, 4585))
    assert counted.backbone / 1e9 == pytest.approx(207.8, abs=0.1)
    projected = 0.2 + 3.6  # image tokens and labels
    assert counted.tagger / 1e9 == pytest.approx(112.7 + projected, abs=0.1)
    assert 0.85 < counted.own_tagger / counted.tagger < 0.95


def test_caption_operations_counted() -> None:
    """Swin-B, Tag2Text's head, its tag encoder and one token of one beam, in GFLOP, as counted elsewhere."""
    text = {"hidden": 768, "heads": 12, "intermediate": 3072, "layers": 12, "vocabulary": 30524}
    head = BertConfig(768, 4, 3072, 2, 1024, self_attention=False)
    readers = BertConfig(context=1024, **text), BertConfig(context=768, **text)  # type: ignore[arg-type]
    counted = cost(Tag2TextConfig(SWIN_BASE, head, *readers, 3429, (1, 2, 3, 4), 102))
    assert counted.backbone / 1e9 == pytest.approx(94.2, abs=0.1)
    assert counted.tagger / 1e9 == pytest.approx(84.9, abs=0.1)
    assert counted.tag_encoder / 1e9 == pytest.approx(13.7, abs=0.1)
    assert counted.decoder_token / 1e9 == pytest.approx(0.25, abs=0.01)


def test_gemm_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product is timed in each type a processor computes in."""
    monkeypatch.setitem(__import__("benchmarks.model_cost").model_cost.GEMM_SIDE, "cpu", 64)
    peaks = gemm_peaks("cpu")
    assert set(peaks) == {"float32", "bfloat16"}
    assert min(peaks.values()) > 0


def test_agreement() -> None:
    """One of two tags lost in one of two images; empty sets agree; a probability on the threshold is not over it."""
    exact = np.array([[0.9, 0.8, 0.1], [0.5, 0.2, 0.1]], np.float32)
    other = np.array([[0.9, 0.4, 0.1], [0.5, 0.2, 0.1]], np.float32)
    found = agreement(exact, other, np.full(3, 0.5, np.float32))
    assert found["jaccard"] == pytest.approx(0.75)
    assert found["worst_jaccard"] == 0.5
    assert found["difference"] == pytest.approx(0.4 / 6)
    assert found["tags_an_image"] == 1.0
    assert not found["holds"]
    assert agreement(exact, exact, np.full(3, 0.5, np.float32))["holds"]


def test_rows() -> None:
    """The warm-up turn is dropped, the ratio is of medians, and ours says whether it gave the same tags."""
    seconds = {"official": [9.0, 4.0, 4.0], "exact": [9.0, 1.0, 3.0]}
    answers = {
        "official": {"tags": [["a", "b"], []], "peak_bytes": 1},
        "exact": {"tags": [["b", "a"], ["c"]], "peak_bytes": 2},
    }
    official, exact = rows("tags", 4, seconds, answers)
    assert official["images_per_s"] == 1.0
    assert "times_official" not in official
    assert exact["times_official"] == pytest.approx(2.0)
    assert exact["times_official_each_turn"] == [4.0, pytest.approx(4 / 3)]
    assert exact["same_answers"] == 0.5


def test_rows_of_one_turn() -> None:
    """A side that could be asked only once is reported, too."""
    (row,) = rows("tags", 2, {"exact": [4.0]}, {"exact": {"tags": [[], []], "peak_bytes": 1}})
    assert row["images_per_s"] == 0.5


def test_same_answers_of_a_task_without_any() -> None:
    """Timing a backbone alone answers nothing to compare."""
    assert same_answers({"tags": []}, {"seconds": 1.0}) is None


def test_measured_process() -> None:
    """What is printed does not get among the answers; a failure inside is named and the next question answered."""
    with MeasuredProcess("sums", [sys.executable, "-c", ANSWERER], threads=1) as process:
        answer = process.ask("double", number=4)
        assert answer["doubled"] == 8
        assert answer["seconds"] >= 0
        assert answer["peak_bytes"] > 2**20
        with pytest.raises(RuntimeError, match="sums: ValueError: no"):
            process.ask("fail")
        assert process.ask("double", number=1)["doubled"] == 2


def test_measured_process_ends() -> None:
    """A side that dies is said to have died, with its status."""
    with MeasuredProcess("sums", [sys.executable, "-c", ANSWERER], threads=None) as process:
        with pytest.raises(ProcessEnded, match="sums ended with status 3"):
            process.ask("end")
        with pytest.raises(ProcessEnded, match="sums ended"):
            process.ask("double", number=1)
