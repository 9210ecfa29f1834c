"""Captions drawn by chance, from the right distribution, and the same ones again for the same seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from indexer.errors import ConfigurationError
from indexer.modeling.beam import BeamConfig
from indexer.modeling.sampling import Sampling, drawn, nucleus, sample
from tests.indexer.modeling.chain import END, PROMPT, Chain

CONFIG = BeamConfig(max_length=10, min_length=5)


def plain_nucleus(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """(V,) -> (V,) probabilities, word for word as the method is described."""
    allowed = logits.clone()
    if top_k:
        allowed[logits.argsort(descending=True)[top_k:]] = -torch.inf
    probabilities, total = allowed.softmax(-1), 0.0
    for token in probabilities.argsort(descending=True).tolist():
        if total > top_p:
            allowed[token] = -torch.inf
        total += float(probabilities[token])
    return allowed.softmax(-1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0, 1, 3, 50, 500]),
    st.floats(0.05, 1.0),
    st.floats(0.1, 8.0),
)
def test_nucleus_is_the_described_one(seed: int, top_k: int, top_p: float, spread: float) -> None:
    """Top-k, then of those the fewest that reach top_p, then scaled to one."""
    logits = torch.randn(2, 80, generator=torch.Generator().manual_seed(seed)) * spread
    probabilities, tokens = nucleus(logits, Sampling(top_p=top_p, top_k=top_k))
    for row in range(2):
        own = torch.zeros(80).scatter(0, tokens[row], probabilities[row])
        assert torch.allclose(own, plain_nucleus(logits[row], top_k, top_p), atol=1e-5)


def test_draws_follow_the_distribution() -> None:
    """Evenly spread chances land on every place as often as it is likely, and never outside the nucleus."""
    probabilities = torch.tensor([[0.5, 0.3, 0.2, 0.0]]).repeat(1000, 1)
    places = drawn(probabilities, (torch.arange(1000) + 0.5) / 1000)[:, 0]
    assert places.bincount(minlength=4).tolist() == [500, 300, 200, 0]
    assert drawn(probabilities[:1], torch.tensor([1 - 1e-9])).item() == 2


def test_frequencies_of_whole_captions() -> None:
    """The first word of many samples is distributed as the model says."""
    chain, sampling = Chain([4]), Sampling(4000, top_p=1.0, top_k=0, repetition_penalty=1.0, seed=3)
    found = sample(chain, BeamConfig(max_length=3, min_length=0), sampling, PROMPT, END, 1)[0]
    counts = torch.tensor([candidate.ids[2] for candidate in found]).bincount(minlength=12) / 4000
    expected = (2 * chain.tables[0][PROMPT[-1]]).softmax(-1)
    assert (counts - expected).abs().max() < 4 * (0.25 / 4000) ** 0.5


def test_same_seed_same_captions() -> None:
    """Whatever else is in the batch, and however many are drawn; another seed draws others."""
    alone = sample(Chain([7]), CONFIG, Sampling(3, seed=5), PROMPT, END, 1)[0]
    together = sample(Chain([6, 7]), CONFIG, Sampling(5, seed=5), PROMPT, END, 2)[1]
    assert [one.ids for one in together[:3]] == [one.ids for one in alone]
    other = sample(Chain([7]), CONFIG, Sampling(3, seed=6), PROMPT, END, 1)[0]
    assert [one.ids for one in other] != [one.ids for one in alone]


def test_log_probability_of_samples() -> None:
    """What the model says of the drawn words, without the penalty, the end included."""
    chain = Chain([1, 2])
    for image, candidates in enumerate(sample(chain, CONFIG, Sampling(6, seed=1), PROMPT, END, 2)):
        assert len(candidates) == 6
        for candidate in candidates:
            assert END not in candidate.ids[:5]
            expected = chain.log_probability(image, candidate.ids)
            assert candidate.log_probability == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    """With the ranges that are possible."""
    with pytest.raises(ConfigurationError, match="at least 1"):
        Sampling(**wrong)  # type: ignore[arg-type]
