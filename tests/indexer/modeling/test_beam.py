"""Searches over a language model that can be checked by hand."""

import itertools
from typing import Literal

import pytest

from indexer.modeling.beam import BeamConfig, beam_search, greedy_search
from tests.indexer.modeling.chain import END, PROMPT, WORDS, Chain

IMAGES = (1, 2, 3)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("normalisation", ["prompt", "generated"])
def test_candidates_carry_what_they_are_worth(
    penalty: float, normalisation: Literal["prompt", "generated"]
) -> None:
    """Every candidate's log-probability is the sum over its words and its end, whatever ranked it."""
    chain = Chain(IMAGES)
    config = BeamConfig(4, 9, 5, penalty, normalisation)
    for image, candidates in enumerate(beam_search(chain, config, PROMPT, END, len(IMAGES))):
        assert len(candidates) == 4
        assert len({tuple(candidate.ids) for candidate in candidates}) == 4
        scores = [candidate.score for candidate in candidates]
        assert scores == sorted(scores, reverse=True)
        for candidate in candidates:
            assert 5 < len(candidate.ids) <= 9
            expected = chain.log_probability(image, candidate.ids)
            assert candidate.log_probability == pytest.approx(expected, abs=1e-4)
            ended = candidate.ids[-1] == END
            length = len(candidate.ids) - (ended if normalisation == "prompt" else len(PROMPT))
            if penalty == 1.0:
                assert candidate.score == pytest.approx(expected / length, abs=1e-4)


def test_wide_beam_finds_the_best() -> None:
    """With as many beams as there are beginnings, the likeliest captions of two words are found, in order."""
    chain = Chain([5])
    config = BeamConfig(WORDS, 5, 0, normalisation="generated")
    words = [word for word in range(WORDS) if word != END]
    captions = [[*PROMPT, END], *([*PROMPT, word, END] for word in words)]
    captions += [[*PROMPT, *pair, END] for pair in itertools.product(words, repeat=2)]
    captions += [[*PROMPT, *triple] for triple in itertools.product(words, repeat=3)]
    worth = {tuple(ids): chain.log_probability(0, ids) / (len(ids) - len(PROMPT)) for ids in captions}
    best = max(worth, key=lambda ids: worth[ids])
    found = beam_search(chain, config, PROMPT, END, 1)[0]
    assert tuple(found[0].ids) == best
    assert found[0].score == pytest.approx(worth[best], abs=1e-5)


def test_greedy_takes_the_likeliest_word() -> None:
    """One caption an image, its end not before the minimum length, and nothing counted behind its end."""
    chain = Chain(IMAGES)
    config = BeamConfig(1, 12, 6)
    for image, (candidate,) in enumerate(greedy_search(chain, config, PROMPT, END, len(IMAGES))):
        assert END not in candidate.ids[:6]
        for place in range(len(PROMPT), len(candidate.ids)):
            row = chain.tables[image][candidate.ids[place - 1]].clone()
            row[END] = -1e9 if place < 6 else row[END]
            assert candidate.ids[place] == int(row.argmax())
        expected = chain.log_probability(image, candidate.ids)
        assert candidate.log_probability == pytest.approx(expected, abs=1e-4)
