"""Metrics against cases worked out by hand, and against sacrebleu."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import sacrebleu

from indexer import evaluation

REFERENCES = [
    ["a dog runs over the green grass", "the dog is running on grass"],
    ["two children play in the snow", "kids in the snow"],
    ["a man rides a red bicycle down a hill", "a cyclist on a hill"],
]
CAPTIONS = [
    "a dog is running over the grass",
    "two kids play in the snow",
    "a man on a red bicycle in the snow",
]


def test_recall_at_k() -> None:
    """Ranks 1, 2 and 3 of three queries: a third, two thirds, all."""
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1]])
    assert evaluation.recall_at_k(scores, [{0}, {1}, {2}], (1, 2, 3)) == {1: 1 / 3, 2: 2 / 3, 3: 1.0}


def test_recall_counts_any_right_answer() -> None:
    """One of several right answers is enough."""
    assert evaluation.recall_at_k(np.array([[0.1, 0.9, 0.5]]), [{0, 2}], (1, 2)) == {1: 0.0, 2: 1.0}


def test_mean_average_precision() -> None:
    """Positives at ranks 1 and 3 give (1 + 2/3) / 2; a tag below the minimum is not judged."""
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.9]])
    truth = np.array([[True, False], [False, False], [True, True]])
    value, judged = evaluation.mean_average_precision(scores, truth, 2)
    assert value == pytest.approx(5 / 6)
    assert list(judged) == [0]


def test_no_tag_to_judge() -> None:
    """Too few positives everywhere is an error, not a zero."""
    with pytest.raises(ValueError, match="no tag has 5 positives"):
        evaluation.mean_average_precision(np.zeros((3, 2)), np.zeros((3, 2), bool), 5)


def test_precision_recall_f1() -> None:
    """Two asserted, one right, of four true: 1/2, 1/4, 1/3."""
    asserted, truth = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 1, 1], bool)
    assert evaluation.precision_recall_f1(asserted, truth) == pytest.approx((0.5, 0.25, 1 / 3))
    assert evaluation.precision_recall_f1(np.zeros(2, bool), np.zeros(2, bool)) == (0.0, 0.0, 0.0)


def test_calibration_error() -> None:
    """Ten claims of 0.8 of which five are right are off by 0.3; honest claims are off by nothing."""
    assert evaluation.expected_calibration_error(np.full(10, 0.8), np.arange(10) < 5) == pytest.approx(0.3)
    assert evaluation.expected_calibration_error(np.full(10, 0.5), np.arange(10) < 5) == pytest.approx(0.0)


def test_bleu_agrees_with_sacrebleu() -> None:
    """Corpus BLEU-4 of words without punctuation, as sacrebleu computes it."""
    captions = [" ".join(evaluation.caption_words(caption)) for caption in CAPTIONS]
    streams = [[refs[n] for refs in REFERENCES] for n in range(2)]
    other = sacrebleu.corpus_bleu(captions, streams, smooth_method="none", tokenize="none").score
    assert evaluation.bleu4(CAPTIONS, REFERENCES) == pytest.approx(other / 100, abs=1e-9)


def test_bleu_by_hand() -> None:
    """The reference itself scores 1; half of it, all right but too short, scores exp(1 - 2)."""
    reference = [["one two three four five six seven eight"]]
    assert evaluation.bleu4(["One two three four five six seven eight."], reference) == pytest.approx(1.0)
    assert evaluation.bleu4(["one two three four"], reference) == pytest.approx(math.exp(-1))
    assert evaluation.bleu4(["nothing shared here today"], reference) == 0.0


def test_cider_of_the_reference_itself() -> None:
    """A photo's only reference, sharing no word with other photos, scores 10."""
    references = [["a dog runs on grass"], ["two kids play here"]]
    assert evaluation.CiderD(references).score("a dog runs on grass", 0) == pytest.approx(10.0)
    assert evaluation.CiderD(references).score("two kids play here", 0) == 0.0


def test_cider_by_hand() -> None:
    """Caption "red dog" against "red cat": of words one of two equally rare ones is shared, so the cosine is 1/2;
    no bigram is; lengths agree. 10 * (1/2) / 4.
    """
    references = [["red cat"], ["blue house"], ["old tree"]]
    scorer = evaluation.CiderD(references)
    rare = math.log(3)
    words = rare * rare / (math.sqrt(rare**2 + rare**2) * math.sqrt(rare**2 + rare**2))
    assert scorer.score("red dog", 0) == pytest.approx(10 * words / 4)


def test_cider_ignores_words_everybody_uses() -> None:
    """A word in every photo's references weighs nothing."""
    references = [["a cat"], ["a dog"]]
    assert evaluation.CiderD(references).score("a", 0) == 0.0


def test_cider_punishes_length_and_repetition() -> None:
    """Saying the right thing twice is worth less than saying it once."""
    scorer = evaluation.CiderD(REFERENCES)
    once, twice = "two children play in the snow", "two children play in the snow " * 2
    assert scorer.score(twice, 1) < scorer.score(once, 1) / 2


def test_examples_from_json_lines(tmp_path: Path) -> None:
    """People's tags come first, tags from captions stand in, none is None; paths are beside the list."""
    rows = [
        {"file": "a.jpg", "captions": ["x"], "tags": [], "tags_from_captions": ["dog"]},
        {"file": "b.jpg", "captions": [], "tags": ["hat"]},
        {"file": "c.jpg", "captions": None, "tags": None},
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    a, b, c = evaluation.read_examples(tmp_path / "d.jsonl")
    assert (a.tags, b.tags, c.tags) == (frozenset({"dog"}), frozenset({"hat"}), None)
    assert a.path == tmp_path / "a.jpg"


def test_retrieval_figures() -> None:
    """Two images with their own texts: found at once in both directions."""
    figures = evaluation.retrieval_figures(np.eye(2), np.eye(2)[[0, 0, 1]], [0, 0, 1])
    assert figures.text_to_image[1] == 1.0
    assert figures.image_to_text[1] == 1.0
    assert figures.queries == 3


def test_caption_figures_count_distinct() -> None:
    """Equal captions for different photos show."""
    figures = evaluation.caption_figures(["a dog", "a dog", "snow"], REFERENCES)
    assert figures.distinct == pytest.approx(2 / 3)
    assert figures.mean_words == pytest.approx(5 / 3)
