"""The pieces the bundled models are made with, on toy data."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from indexer.checkpoints import Calibration
from indexer.training import losses, text
from indexer.training.captioner import CaptionerSettings, Guide, padded
from indexer.training.data import Photo, held_out
from indexer.training.distill import Labels
from indexer.training.loop import Average, Schedule, optimizer_for, save_atomically
from indexer.training.tagger import choose_thresholds, fit_calibration
from indexer.training.teacher import STEPS_PER_SIGMA, area_resize, fit_basis
from indexer.training.views import ViewPlan, render


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (3, 24, 24, 3), dtype=np.uint8)


def test_views_repeat_and_differ(pictures: np.ndarray) -> None:
    """The same seed, photo and number give the same view; another of any of them another view."""
    plan = ViewPlan(seed=0, plain=2, mixed=1)
    first = render(pictures, 1, 1, plan, 16)
    assert np.array_equal(first, render(pictures, 1, 1, plan, 16))
    for photo, view, seed in ((0, 1, 0), (1, 2, 0), (1, 1, 5)):
        assert not np.array_equal(first, render(pictures, photo, view, ViewPlan(seed, 2, 1), 16))


def test_first_view_is_the_photo(pictures: np.ndarray) -> None:
    """View 0 at the photo's own size is untouched."""
    assert np.array_equal(render(pictures, 2, 0, ViewPlan(0, 2, 0), 24), pictures[2])


def test_area_resize_keeps_the_mean() -> None:
    """Every output cell averages: rows sum to one, a constant stays, 7 to 6 weighs 6/7 and 1/7."""
    matrix = area_resize(7, 6)
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(matrix[0, :2], [6 / 7, 1 / 7])
    np.testing.assert_allclose(area_resize(4, 4), np.eye(4))


def test_basis_whitens() -> None:
    """Encoded components have the stated spread whatever the input's."""
    tokens = np.random.default_rng(0).normal(3, 1, (2000, 4)) * [10, 1, 0.1, 5]
    encoded = fit_basis(tokens, 2).encode(tokens)
    assert encoded.dtype == np.int8
    np.testing.assert_allclose(encoded.std(0), STEPS_PER_SIGMA, rtol=0.05)


def test_asymmetric_loss_by_hand() -> None:
    """At probability 1/2 a positive costs ln 2; a negative, shifted to 0.45, costs -0.45^g ln 0.55; unknown none."""
    logits, targets = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 1.0]])
    known = torch.tensor([[1.0, 1.0, 0.0]])
    expected = math.log(2) - 0.45**2 * math.log(0.55)
    assert float(losses.asymmetric(logits, targets, known, gamma_neg=2)) == pytest.approx(expected, abs=1e-5)


def test_contrastive_loss_by_hand() -> None:
    """Orthogonal right pairs at scale 1 cost ln(1 + 1/e); the same photo twice is no mistake to confuse."""
    pairs, scale = torch.eye(2), torch.tensor(0.0)
    apart = losses.contrastive(pairs, pairs, scale, torch.tensor([0, 1]))
    assert float(apart) == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-5)
    same = losses.contrastive(torch.ones(2, 1), torch.ones(2, 1), scale, torch.tensor([4, 4]))
    assert float(same) == pytest.approx(math.log(2), abs=1e-5)


def test_soft_labels_vanish_when_equal() -> None:
    """A student that agrees has nothing to learn."""
    logits = torch.randn(3, 5)
    assert float(losses.soft_labels(logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)


def test_schedule_warms_up_and_ends() -> None:
    """The rate climbs, peaks after warm-up and ends near zero, by steps or by minutes."""
    schedule = Schedule(steps=100, peak=1.0, warm_up=0.1)
    assert schedule.rate(0) < schedule.rate(0.05) < schedule.rate(0.1)
    assert schedule.rate(0.1) == pytest.approx(1.0, abs=1e-3)
    assert schedule.rate(1.0) < 1e-5
    assert schedule.progress(50, seconds=1e9) == 0.5
    assert Schedule(100, 1.0, minutes=10).progress(1, seconds=300) == 0.5


def test_average_follows() -> None:
    """The average moves to where the weights stay; integers are copied."""
    module = nn.BatchNorm1d(2)
    average = Average(module, 0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
        module.num_batches_tracked.fill_(7)
    for step in range(40):
        average.update(module, step + 100)
    assert torch.allclose(average.values["weight"], module.weight)
    assert int(average.values["num_batches_tracked"]) == 7


def test_only_matrices_decay() -> None:
    """Weights of linear layers and convolutions decay; biases, norms and embeddings do not."""
    module = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.LayerNorm(2), "c": nn.Embedding(3, 2)})
    decayed, others = optimizer_for(module, 1e-3, 0.1).param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 2)]
    assert len(others["params"]) == 4


def test_checkpoints_replace_in_one_move(tmp_path: Path) -> None:
    """Saving leaves one whole file and no partial one."""
    save_atomically({"step": 1}, tmp_path / "a.pt")
    save_atomically({"step": 2}, tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True) == {"step": 2}
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def photo(captions: tuple[str, ...] = (), tags: tuple[str, ...] = (), category: str | None = None) -> Photo:
    return Photo(Path("x.jpg"), captions, tags, category)


def test_labels_leave_the_unsaid_unknown() -> None:
    """Nobody asked whether described photos show garments, nor what else garment photos show."""
    photos = [photo(("a dog",), ("dog", "hat")), photo(category="hat"), photo(category="shorts")]
    labels = Labels(photos, ["dog", "hat", "shorts"], ["hat", "shorts"])
    assert labels.targets.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert labels.known.tolist() == [[1, 1, 0], [0, 1, 1], [0, 1, 1]]
    targets, known = labels.of(np.array([2]), torch.tensor([2, 0]))
    assert (targets.tolist(), known.tolist()) == ([[1, 0]], [[1, 0]])


def test_held_out_is_stable() -> None:
    """The same seed keeps the same slice back."""
    photos = [photo()] * 2000
    assert np.array_equal(held_out(photos, 0.05, 1), held_out(photos, 0.05, 1))
    assert 50 < held_out(photos, 0.05, 1).sum() < 150


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("Two dogs running on a sandy beach .", ["dog", "run", "beach"]),
        ("A man sits on a park bench", ["park bench", "man", "sit"]),
        ("Women riding horses", ["woman", "ride", "horse"]),
        ("Berries", ["berry"]),
        ("nothing here", []),
    ],
)
def test_tags_in_captions(caption: str, tags: list[str]) -> None:
    """Plurals, -ing forms, irregular plurals and phrases are found."""
    vocabulary = ["dog", "run", "beach", "park bench", "man", "sit", "woman", "ride", "horse", "berry"]
    assert text.TagParser(vocabulary)(caption) == tags


def test_tidy() -> None:
    """Lower case, single spaces, no final stop."""
    assert text.tidy("A  Dog runs . ") == "a dog runs"


def test_frequent_tags() -> None:
    """Rare tags are left out, the others sorted."""
    assert text.frequent_tags([["b", "a"], ["b"], ["a", "c"]], 2) == ["a", "b"]


def test_calibration_recovers_probabilities() -> None:
    """Logits twice too large and shifted are brought back."""
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(20000, 1, generator=generator) * 2 - 1
    answers = (torch.rand(20000, 1, generator=generator) < torch.sigmoid(true)).float()
    found = fit_calibration(true * 2 + 1, answers, torch.ones_like(answers))
    assert isinstance(found, Calibration)
    assert found.scale == pytest.approx(0.5, abs=0.05)
    assert found.bias == pytest.approx(-0.5, abs=0.1)


def test_thresholds_follow_each_tag() -> None:
    """A tag whose positives stand apart gets a threshold between; thresholds stay inside 0.05..0.95."""
    truth = np.zeros((200, 2), np.float32)
    truth[:100] = 1
    confidences = np.stack([np.where(truth[:, 0] > 0, 0.9, 0.7), np.where(truth[:, 1] > 0, 0.4, 0.1)], 1)
    high, low = choose_thresholds(confidences, truth, np.ones_like(truth), floor=0.4)
    assert 0.68 < high < 0.9
    assert 0.1 < low < 0.4


def test_guides_are_what_captions_agree_on() -> None:
    """Without noise a guide holds the tags two captions share."""
    settings = CaptionerSettings(drop_tag=0.0, add_tag=0.0)
    guide = Guide(["dog", "cat"], settings, np.random.default_rng(0))
    parsed = [["dog", "snow"], ["dog"], ["snow", "tree"]]
    assert set(guide(parsed, np.array([], int))) == {"dog", "snow"}


def test_padding() -> None:
    """Rows are filled to the longest."""
    assert padded([[1, 2], [3]], -100).tolist() == [[1, 2], [3, -100]]
