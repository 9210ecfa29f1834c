"""Captions under tags of one's choice, several at a time, with what they are worth."""

import numpy as np
import pytest
import torch
from skimage import data as photographs

from indexer import predictors
from indexer.errors import ConfigurationError, UnknownTag
from indexer.predictors import Captioner, Sampling, TagControl
from tests.indexer.test_predictors import as_pixels


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return predictors.load_captioner("small", "cpu")


@pytest.fixture(scope="module")
def pixels(captioner: Captioner) -> np.ndarray:
    """A cat and a cup, (2, S, S, 3)."""
    pictures = (photographs.chelsea(), photographs.coffee())
    return np.stack([as_pixels(picture, captioner.input) for picture in pictures])


def test_without_control_it_is_the_usual_caption(captioner: Captioner, pixels: np.ndarray) -> None:
    """Guided by the tags recognised, which are reported; as many as asked for, best first."""
    for guided, usual in zip(captioner.captions(pixels, None, 3), captioner.caption(pixels), strict=True):
        assert guided.candidates[0].text == usual
        assert guided.tags
        assert not guided.unread
        assert len({one.text for one in guided.candidates}) == 3
        scores = [one.score for one in guided.candidates]
        assert scores == sorted(scores, reverse=True)
        assert all(one.log_probability < one.score < 0 for one in guided.candidates)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (TagControl(("frisbee", "hot dog"), recognised=False), ["frisbee", "hot dog"]),
        (TagControl(("frisbee",)), ["frisbee", "SEEN"]),
        (TagControl(("FIRST",)), ["FIRST", "OTHERS"]),
        (TagControl(rejected=("FIRST",)), ["OTHERS"]),
        (TagControl(("frisbee",), rejected=("FIRST",)), ["frisbee", "OTHERS"]),
        (TagControl((), recognised=False), []),
    ],
)
def test_control(captioner: Captioner, pixels: np.ndarray, control: TagControl, expected: list[str]) -> None:
    """Given alone, given with recognised, less rejected, or none at all; a tag named twice is read once."""
    seen = list(captioner.captions(pixels)[0].tags)
    first = tuple(seen[0] if tag == "FIRST" else tag for tag in control.given)
    rejected = tuple(seen[0] if tag == "FIRST" else tag for tag in control.rejected)
    meaning = {"SEEN": seen, "OTHERS": seen[1:], "FIRST": seen[:1]}
    wanted = [tag for name in expected for tag in meaning.get(name, [name])]
    guided = captioner.captions(pixels, TagControl(first, control.recognised, rejected))[0]
    assert list(guided.tags) == wanted
    assert guided.candidates[0].text == captioner.caption(pixels[:1], [wanted])[0]


def test_tags_guide(captioner: Captioner, pixels: np.ndarray) -> None:
    """A given tag turns up in the captions."""
    guided = captioner.captions(pixels, TagControl(("dog", "frisbee"), recognised=False), 3)
    assert all("frisbee" in one.text for image in guided for one in image.candidates)


def test_what_does_not_fit_is_said(captioner: Captioner, pixels: np.ndarray) -> None:
    """Tags beyond forty tokens are not read; the caption is that of the tags which are."""
    long = tuple(f"a red dog {number}" for number in range(30))
    guided = captioner.captions(pixels[:1], TagControl(long))[0]
    assert guided.tags + guided.unread[: len(long) - len(guided.tags)] == long
    assert set(captioner.captions(pixels[:1])[0].tags) <= set(guided.unread)
    tokenizer, room = captioner._tokenizer, captioner._network.config.tag_tokens - 2
    assert len(tokenizer.encode(" | ".join(guided.tags))) <= room
    assert len(tokenizer.encode(" | ".join(long[: len(guided.tags) + 1]))) > room


def test_drawn_captions_repeat(captioner: Captioner, pixels: np.ndarray) -> None:
    """For the same seed, also of one image alone; for another seed there are others."""
    drawn = captioner.captions(pixels, None, 4, Sampling(seed=1))
    assert len(drawn[0].candidates) == 4
    (alone,) = captioner.captions(pixels[1:], None, 2, Sampling(seed=1))
    assert [one.text for one in alone.candidates] == [one.text for one in drawn[1].candidates[:2]]
    other = captioner.captions(pixels, None, 4, Sampling(seed=2))
    assert [one.text for one in other[0].candidates] != [one.text for one in drawn[0].candidates]


def test_many_candidates_widen_the_search(captioner: Captioner, pixels: np.ndarray) -> None:
    """More captions than the search has beams are found."""
    guided = captioner.captions(pixels, None, captioner.search.beams + 4)[0]
    assert len({one.text for one in guided.candidates}) == captioner.search.beams + 4


def test_contradictions_are_refused(captioner: Captioner, pixels: np.ndarray) -> None:
    """A tag both given and rejected, a rejected word that means nothing, no captions at all."""
    with pytest.raises(ConfigurationError, match="both given and rejected"):
        captioner.captions(pixels, TagControl(("Dog",), rejected=("dog",)))
    with pytest.raises(UnknownTag, match="person"):
        captioner.captions(pixels, TagControl(rejected=("purson",)))
    with pytest.raises(ConfigurationError, match="1 or more"):
        captioner.captions(pixels, candidates=0)


def test_no_images(captioner: Captioner, pixels: np.ndarray) -> None:
    """No captions."""
    assert captioner.captions(pixels[:0]) == []
