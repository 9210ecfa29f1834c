"""Where a tag was seen."""

import numpy as np
import pytest
import torch

from indexer.checkpoints import Calibration
from indexer.errors import UnknownTag
from indexer.images import InputSpec
from indexer.modeling.ram import Ram
from indexer.modeling.tag2text import Tag2Text
from indexer.predictors import ModelIdentity, Tagger, load_tagger
from indexer.predictors.heat import heat_of
from indexer.predictors.vision import Eyes, Normaliser
from indexer.published import Family
from indexer.training.data import read_photos, squashed
from indexer.vocabulary import Vocabulary
from tests import released
from tests.golden import DATA

VAL = DATA / "photos" / "flickr8k" / "val.jsonl"
PIXELS = np.random.default_rng(1).integers(0, 256, (384, 384, 3), dtype=np.uint8)


def tagger_of(family: Family) -> tuple[Tagger, Ram | Tag2Text]:
    """A small tagger with random weights, and its network."""
    network = released.network(family).eval()
    eyes = Eyes(network.visual_encoder, Normaliser((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))
    known = Vocabulary(tuple(f"tag {number}" for number in range(released.TAGS)), (0.5,) * released.TAGS)
    identity = ModelIdentity("tagger", family, "0123")
    return Tagger(network, eyes, identity, InputSpec(384), known, Calibration()), network


def plain_logits(network: Ram | Tag2Text, tokens: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """(tags,) logits of a network that is given only these tokens, by its encoder as it was trained."""
    if isinstance(network, Tag2Text):
        answers = network.tagging_head.encoder(network.label_embed.weight[None], tokens)
        return network.fc(answers, slice(None))[0]
    queries = network.own_labels().queries(mean).reshape(1, len(network.own_labels()), -1)
    return network.fc(network.tagging_head.encoder(queries, tokens))[0, :, 0]


@pytest.mark.parametrize("family", released.FAMILIES)
@torch.inference_mode()
def test_heat_is_what_a_tag_loses_without_a_patch(family: Family) -> None:
    """Each cell's heat is the mean fall of the plain network's logit over the nine patches that cover it."""
    tagger, network = tagger_of(family)
    heat = tagger.heat(PIXELS, ["tag 5", "tag 2"])
    assert heat.shape == (2, 12, 12)
    assert heat.dtype == np.float32
    tokens = torch.from_numpy(tagger.look(PIXELS[None]))
    mean, full = tokens[:, 0], plain_logits(network, tokens, tokens[:, 0])
    falls = np.zeros((14, 14, released.TAGS))  # with a border around
    for row in range(12):
        for column in range(12):
            left = torch.ones(12, 12, dtype=torch.bool)
            left[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = False
            kept = torch.cat([torch.ones(1, dtype=torch.bool), left.flatten()])
            falls[row + 1, column + 1] = (full - plain_logits(network, tokens[:, kept], mean)).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(falls, (3, 3), (0, 1)).sum((-1, -2))
    covered = np.lib.stride_tricks.sliding_window_view(np.pad(np.ones((12, 12)), 1), (3, 3)).sum((-1, -2))
    expected = np.maximum(windows / covered[..., None], 0)[..., [5, 2]].transpose(2, 0, 1)
    expected /= expected.max((1, 2), keepdims=True)
    np.testing.assert_allclose(heat, expected, atol=2e-3)


@pytest.mark.parametrize("cell", [(0, 0), (2, 3), (5, 5)])
def test_the_hottest_cell_is_the_one_that_matters(cell: tuple[int, int]) -> None:
    """A tag that is seen in one cell only is hottest there, and nowhere far from it."""
    place = 1 + 6 * cell[0] + cell[1]
    (heat,) = heat_of(lambda hidden: np.where(hidden[:, place], -2.0, 3.0)[None], 36)
    assert heat[cell] == heat.max() == 1
    rows, columns = np.indices((6, 6))
    assert (heat[np.maximum(abs(rows - cell[0]), abs(columns - cell[1])) > 2] == 0).all()


def test_no_heat_where_hiding_changes_nothing() -> None:
    """Nothing is scaled up to be seen."""
    assert heat_of(lambda hidden: np.full((2, len(hidden)), 1.5), 16).max() == 0
    assert heat_of(lambda hidden: hidden.sum(1)[None].astype(float), 16).max() == 0


@pytest.fixture(scope="module")
def bundled() -> Tagger:
    """The small tagger."""
    return load_tagger("small", "cpu")


@pytest.mark.skipif(not VAL.is_file(), reason=f"no photographs at {VAL}: set SIGHTLINE_TEST_DATA")
def test_heat_follows_the_dog(bundled: Tagger) -> None:
    """In mosaics of four photographs of which one shows a dog, "dog" is hottest there, oftener than by chance."""
    photos = read_photos(VAL)
    dogs = [photo for photo in photos if sum("dog" in caption for caption in photo.captions) >= 4][:32]
    others = iter([photo for photo in photos if not any("dog" in caption for caption in photo.captions)])
    right = 0
    for number, dog in enumerate(dogs):
        quarter = number % 4
        tiles = [squashed((dog if n == quarter else next(others)).path, 96) for n in range(4)]
        mosaic = np.concatenate([np.concatenate(tiles[:2], 1), np.concatenate(tiles[2:], 1)])
        (heat,) = bundled.heat(mosaic, ["dog"])
        halves = heat.reshape(2, 3, 2, 3).sum((1, 3)).ravel()
        right += int(np.argmax(halves)) == quarter
    assert right >= 14


def test_a_tag_the_tagger_does_not_know(bundled: Tagger) -> None:
    """It is refused with the nearest, before anything is calculated."""
    with pytest.raises(UnknownTag) as refused:
        bundled.heat(np.zeros((192, 192, 3), np.uint8), ["doog"])
    assert "dog" in refused.value.suggestions
