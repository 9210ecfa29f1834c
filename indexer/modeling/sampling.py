"""Nucleus sampling of captions: every token is drawn from the few that carry most of the probability ("The Curious
Case of Neural Text Degeneration", Holtzman et al., ICLR 2020).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from indexer.errors import ConfigurationError
from indexer.modeling.beam import BeamConfig, Candidate, Generation, Step


@dataclass(frozen=True)
class Sampling:
    """How captions are drawn; the defaults are those the released Tag2Text samples with.

    `samples` captions an image are drawn. Of the `top_k` likeliest tokens (0: of all), those are in the draw that
    come before `top_p` of their probability is reached, and the one that reaches it. The same `seed` draws the same
    captions, whatever other images are in the batch; the first captions stay the same when more are asked for.
    """

    samples: int = 1
    top_p: float = 0.9
    top_k: int = 50
    repetition_penalty: float = 1.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigurationError for what cannot be drawn with."""
        if self.samples < 1 or self.top_k < 0 or not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise ConfigurationError(
                f"{self} cannot be drawn with: samples must be at least 1, top_p over 0 and at most 1, top_k 0 or"
                " more, repetition_penalty over 0."
            )


def nucleus(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """(rows, V) logits -> (rows, K) probabilities, 0 outside the nucleus, and the tokens they are of, best first."""
    kept = sampling.top_k or logits.shape[-1]
    best, tokens = logits.topk(min(kept, logits.shape[-1]), dim=-1)
    probabilities = best.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    inside = torch.where(before <= sampling.top_p, probabilities, 0.0)
    return inside / inside.sum(-1, keepdim=True), tokens


def drawn(probabilities: Tensor, chances: Tensor) -> Tensor:
    """(rows, K) probabilities and (rows,) numbers from [0, 1) -> (rows, 1) places, by inverting the distribution."""
    reached = probabilities.double().cumsum(-1)
    places = (reached <= chances.double()[:, None] * reached[:, -1:]).sum(-1, keepdim=True)
    possible = (probabilities > 0).sum(-1, keepdim=True)
    return places.minimum(possible - 1)


def sample(
    step: Step, config: BeamConfig, sampling: Sampling, prompt: list[int], end: int, images: int
) -> list[list[Candidate]]:
    """The captions drawn for every image, in the order they were drawn. Of `config`, only the lengths matter."""
    generator = torch.Generator().manual_seed(sampling.seed)
    chances = torch.rand(sampling.samples, config.max_length, generator=generator).repeat(images, 1)
    generation = Generation(config, prompt, end, images * sampling.samples)
    fresh = generation.ids
    while not generation.is_over():
        logits = step(fresh, None).float().cpu()
        probabilities, tokens = nucleus(generation.processed(logits, sampling.repetition_penalty), sampling)
        places = drawn(probabilities, chances[:, generation.ids.shape[1]])
        generation.append(tokens.gather(1, places), logits)
        fresh = generation.ids[:, -1:]
    found = generation.results()
    return [found[first : first + sampling.samples] for first in range(0, len(found), sampling.samples)]
