"""`sightline reindex`, and what commands say of models that are otherwise than the settings."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from indexer.decoding import DecodePool
from indexer.local_stack import Endpoints
from indexer.reindexing.in_effect import Choice
from tests.changing import SMALL, Changing, open_library
from tests.indexer.cli.conftest import Run
from tests.other_models import install_other


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a second tagger and embedder."""
    return install_other(tmp_path_factory.mktemp("models"), "tagger", "embedder")


@pytest.fixture
def library(
    engine: Engine, stack: Endpoints, pool: DecodePool, home: Path, photographs: list[Path], tmp_path: Path
) -> Iterator[Changing]:
    """A few photographs, indexed, and a worker that fills."""
    library = open_library(
        engine, stack.milvus_url, pool, Choice(SMALL, "cpu", "exact", home), str(tmp_path / "store")
    )
    library.index(*photographs)
    ending = threading.Event()

    def work() -> None:
        while not ending.wait(0.1):
            library.work()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    yield library
    ending.set()
    worker.join()
    library.stores.close()


@pytest.fixture
def reindex(
    library: Changing,
    postgres_url: str,
    stack: Endpoints,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: Run,
) -> Run:
    """Runs `sightline ...` on that library."""
    assert library.row("embedder").name == "small"
    for name, value in (
        ("HOME", tmp_path),
        ("POSTGRES_URL", postgres_url),
        ("REDIS_URL", stack.redis_url),
        ("MILVUS_URL", stack.milvus_url),
        ("MODELS", home),
        ("DEVICE", "cpu"),
    ):
        monkeypatch.setenv(f"SIGHTLINE_{name}", str(value))
    return typed


def test_there_and_back(reindex: Run, library: Changing) -> None:
    """The report is printed, the new one answers; --rollback has the old one answer."""
    status, out, err = reindex("reindex", "--embedder", "other")
    assert status == 0
    assert "small (" in out
    assert "-> other (" in out
    assert "both find 100%" in out
    assert "other is the embedder in effect now" in err
    assert library.row("embedder").name == "other"
    status, _, err = reindex("reindex", "--rollback")
    assert status == 0
    assert "small is the embedder in effect again" in " ".join(err.split())
    assert library.row("embedder").name == "small"


def test_first_compared_then_put_in_effect(reindex: Run, library: Changing) -> None:
    """--no-switch stops before; the same command without it goes on from there."""
    status, out, _ = reindex("reindex", "--tagger", "other", "--no-switch", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["in_effect"]["tagger"]["name"] == "small"
    assert told["change"]["report"]["tags_lost"] > 0
    assert told["change"]["switched_at"] is None
    assert "puts it in effect" in reindex("reindex", "--status")[1]
    assert reindex("reindex", "--tagger", "other")[0] == 0
    assert library.row("tagger").name == "other"


def test_called_off_and_forgotten(reindex: Run, library: Changing) -> None:
    """After --cancel another change may begin; --forget says whom it has forgotten."""
    reindex("reindex", "--embedder", "other", "--no-switch")
    status, _, err = reindex("reindex", "--tagger", "other")
    assert status == 1
    assert "A change to the embedder other is under way" in " ".join(err.split())
    assert reindex("reindex", "--cancel")[0] == 0
    assert reindex("reindex", "--cancel")[0] == 1
    assert "The embedder other" in reindex("reindex", "--forget")[2]
    assert library.row("embedder").name == "small"


def test_a_model_that_is_not_there(reindex: Run) -> None:
    """Nothing is begun; the message lists what there is."""
    status, _, err = reindex("reindex", "--embedder", "rum")
    assert status == 1
    assert "Known: other, small" in " ".join(err.split())
    assert reindex("reindex", "--status")[1].count("Last change") == 0


@pytest.mark.parametrize("arguments", [(), ("--embedder", "other", "--rollback"), ("--status", "--cancel")])
def test_one_thing_at_a_time(typed: Run, arguments: tuple[str, ...]) -> None:
    """Nothing or two things said is a mistake, and says what can be said."""
    status, _, err = typed("reindex", *arguments)
    assert status == 1
    assert "Say one thing" in err


def test_a_setting_that_is_not_obeyed_is_told(reindex: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that would have it obeyed; without such a setting nothing is said."""
    assert "not obeyed" not in reindex("tags")[2]
    for name, value, change in (
        ("EMBEDDER", "other", "--embedder other"),
        ("PRECISION", "bf16", "--tagger small"),
    ):
        monkeypatch.setenv(f"SIGHTLINE_{name}", value)
        told = " ".join(reindex("tags")[2].split())
        assert f"SIGHTLINE_{name}={value} is not obeyed" in told
        assert f"sightline reindex {change}" in told


def test_a_model_in_effect_that_is_not_here_is_told(
    reindex: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Tags are listed all the same; a search by meaning says what to do."""
    assert reindex("reindex", "--embedder", "other")[0] == 0
    monkeypatch.setenv("SIGHTLINE_MODELS", str(tmp_path / "nothing"))
    status, out, err = reindex("tags")
    assert status == 0
    assert "dog" in out
    assert "the embedder of this library is not on this machine" in " ".join(err.split())
    status, _, err = reindex("search", "a cat")
    assert status == 1
    assert "sightline reindex --embedder NAME" in " ".join(err.split())
