"""Small networks share the cores among batches; large ones get all of them, one batch at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch

from indexer import predictors
from indexer.predictors.cores import SMALL, share_cores


@dataclass(frozen=True)
class Sized:
    """All that sharing asks of a predictor."""

    weight_count: int


@pytest.fixture(autouse=True)
def _four_cores() -> Iterator[None]:
    """As if there were four, whatever this machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("batches", "threads"), [(1, 4), (2, 2), (3, 1), (8, 1)])
def test_small_networks_share(batches: int, threads: int) -> None:
    """Every batch has its share, of one core at least."""
    assert share_cores([Sized(SMALL // 2), Sized(SMALL // 2)], "cpu", batches) == batches
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("weights", "device"), [(SMALL + 1, "cpu"), (1, "cuda")])
def test_others_have_all_to_themselves(weights: int, device: str) -> None:
    """Large products keep all cores busy; a GPU has its own."""
    assert share_cores([Sized(weights)], device, 2) == 1
    assert torch.get_num_threads() == 4


def test_the_bundled_networks_are_small() -> None:
    """Packing their weights for inference hides none of them."""
    models = (predictors.load_tagger(), predictors.load_captioner(), predictors.load_embedder())
    millions = [model.weight_count / 1e6 for model in models]
    assert millions == pytest.approx([6.6, 10.4, 9.1], rel=0.1)  # as in MODEL_CARD.md, each with the backbone
    assert share_cores(models, "cpu", 2) == 2
