"""Tags of one's own beside a tagger's, and tags scored from what was kept of an image."""

from functools import cache
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.checkpoints import Calibration
from indexer.errors import ConfigurationError
from indexer.images import InputSpec
from indexer.modeling.inference import Precision, prepare
from indexer.modeling.ram import Labels, Ram
from indexer.predictors import ModelIdentity, Tagger
from indexer.predictors.vision import Eyes, Normaliser
from indexer.vocabulary import Vocabulary
from tests import released

Family = Literal["ram", "ram_plus"]
FAMILIES: tuple[Family, ...] = ("ram", "ram_plus")
NEW = Vocabulary(("owl", "tag 0", "drone"), (0.2, 0.3, 0.4))
SAME_LOGIT = 1e-5
# Rounding tokens to float16 changes each by at most one part in 2048; a logit then moves by a few such parts of the
# spread of the logits.
SAME_LOGIT_FLOAT16 = 0.01


@cache
def network(family: Family, prepared: bool) -> Ram:
    """A small tagger with random weights, as it is or made ready for inference."""
    built = released.network(family)
    assert isinstance(built, Ram)
    if prepared:
        prepare(built, "cpu", "exact")
    return built


def tagger_of(built: Ram, family: Family, precision: Precision = "exact") -> Tagger:
    """The network behind pixels."""
    eyes = Eyes(built.visual_encoder, Normaliser((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))
    known = Vocabulary(tuple(f"tag {number}" for number in range(released.TAGS)), (0.5,) * released.TAGS)
    identity = ModelIdentity("tagger", family, "0123")
    return Tagger(built, eyes, identity, InputSpec(384), known, Calibration(), exact=precision == "exact")


@cache
def seen(images: int = 2) -> np.ndarray:
    """Noise, (images, 384, 384, 3)."""
    return np.random.default_rng(5).integers(0, 256, (images, 384, 384, 3), dtype=np.uint8)


def embedded(built: Ram, tags: int, seed: int = 0) -> np.ndarray:
    """Label embeddings of as many new tags, each of length one."""
    width = built.config.label_width
    rows = np.random.default_rng(seed).normal(size=(tags * built.config.descriptions, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def logits(confidences: np.ndarray) -> np.ndarray:
    """What the confidences were made from."""
    exact = confidences.astype(np.float64)
    answer: np.ndarray = np.log(exact / (1 - exact))
    return answer


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_new_tags_from_kept_tokens(family: Family, prepared: bool) -> None:
    """A tag that was not known when an image was looked at is scored from its kept tokens as by a full run."""
    built = network(family, prepared)
    tagger = tagger_of(built, family)
    kept = tagger.look(seen())
    assert kept.shape == (2, 145, built.config.projection)
    both = tagger.with_tags(NEW, embedded(built, len(NEW)))
    full = built.logits(built.image_tokens(_normalised(seen())), built.labels(_tensor(embedded(built, 3))))
    expected = full.detach().numpy()
    spread = expected.std()
    assert spread > 0.05
    later = logits(both.confidences_of(kept))
    assert np.abs(later[:, -3:] - expected).max() < SAME_LOGIT
    assert np.abs(later - logits(both.confidences(seen()))).max() < SAME_LOGIT
    halved = logits(both.confidences_of(kept.astype(np.float16)))
    assert np.abs(halved - later).max() < SAME_LOGIT_FLOAT16 * spread


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)


def _normalised(pixels: np.ndarray) -> torch.Tensor:
    return Normaliser((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))(pixels)


@cache
def _tokens(family: Family) -> torch.Tensor:
    with torch.inference_mode():
        return network(family, True).image_tokens(_normalised(seen()))


@cache
def _pool(family: Family) -> tuple[Labels, torch.Tensor]:
    """Twelve labels, the model's own and new ones, and their logits when asked together."""
    built = network(family, True)
    with torch.inference_mode():
        labels = built.own_labels().joined(built.labels(_tensor(embedded(built, 5, seed=1))))
        return labels, built.logits(_tokens(family), labels)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(FAMILIES), st.lists(st.integers(0, 11), min_size=1, max_size=20), st.booleans())
def test_tags_do_not_see_each_other(family: Family, chosen: list[int], one_image: bool) -> None:
    """Any labels, in any order, any number of times, in any company and batch: each gets the logit it always gets."""
    built, (labels, together) = network(family, True), _pool(family)
    numbers, images = torch.tensor(chosen), 1 if one_image else 2
    with torch.inference_mode():
        half = len(chosen) // 2
        parts = [part for part in (numbers[:half], numbers[half:]) if len(part)]
        asked = labels.chosen(parts[0])
        for part in parts[1:]:
            asked = asked.joined(labels.chosen(part))
        found = built.logits(_tokens(family)[:images], asked)
    assert (found - together[:images][:, numbers]).abs().max() < SAME_LOGIT


@pytest.mark.parametrize("family", FAMILIES)
def test_own_tags_stand_beside_the_built_in_ones(family: Family) -> None:
    """Which answer as before; a name in both speaks once; the identity tells that tags were added, and which."""
    built = network(family, True)
    tagger = tagger_of(built, family)
    both = tagger.with_tags(NEW, embedded(built, 3))
    assert both.vocabulary.tags == (*tagger.vocabulary.tags, *NEW.tags)
    assert np.abs(both.confidences(seen())[:, : released.TAGS] - tagger.confidences(seen())).max() < 1e-6
    for scores in both.tag(seen()):
        names = [score.tag for score in scores]
        assert len(names) == len(set(names))
    versions = {
        tagger.identity.version,
        both.identity.version,
        tagger.with_tags(NEW, embedded(built, 3, seed=9)).identity.version,
        tagger.with_tags(Vocabulary(NEW.tags, (0.2, 0.3, 0.5)), embedded(built, 3)).identity.version,
        both.with_tags(NEW, embedded(built, 3)).identity.version,
    }
    assert len(versions) == 5
    assert both.identity.version == tagger.with_tags(NEW, embedded(built, 3)).identity.version


def test_own_tags_in_bfloat16() -> None:
    """New tags get nearly the confidences of float32, as built-in ones do."""
    rough = released.network("ram")
    assert isinstance(rough, Ram)
    prepare(rough, "cpu", "bf16")
    found = tagger_of(rough, "ram", "bf16").with_tags(NEW, embedded(rough, 3)).confidences(seen())
    exact = tagger_of(network("ram", True), "ram").with_tags(NEW, embedded(rough, 3)).confidences(seen())
    assert np.abs(found - exact).max() < 0.02


def test_fixed_vocabularies_and_wrong_embeddings_are_refused() -> None:
    """With what would do."""
    built = network("ram", True)
    with pytest.raises(ConfigurationError, match=r"shape \(3, 12\) for 3 tags, not \(3, 7\)"):
        tagger_of(built, "ram").with_tags(NEW, np.zeros((3, 7), np.float32))
    plus = network("ram_plus", True)
    with pytest.raises(ConfigurationError, match=r"shape \(153, 16\)"):
        tagger_of(plus, "ram_plus").with_tags(NEW, embedded(built, 3))


def test_tags_near_their_thresholds_are_asked_again_exactly() -> None:
    """In bfloat16, a confidence close to its threshold is float32's for the same tokens; one far from it is not."""
    plain, faster = released.network("ram"), released.network("ram")
    assert isinstance(plain, Ram)
    assert isinstance(faster, Ram)
    prepare(faster, "cpu", "bf16")
    tagger = tagger_of(faster, "ram", "bf16")
    tokens = tagger.look(seen(1))
    with torch.inference_mode():
        logits = plain.logits(torch.from_numpy(tokens))[0]
    exact = torch.sigmoid(logits).numpy()
    for moved, near in ((0.01, True), (1.0, False)):
        thresholds = torch.sigmoid(logits + moved).tolist()
        tagger.vocabulary = Vocabulary(tagger.vocabulary.tags, tuple(thresholds))
        assert np.allclose(tagger.confidences_of(tokens)[0], exact, atol=1e-6) == near
