"""Beam and greedy search over a decoder with a key-value cache.

Two conventions of length normalisation exist for the same sums: "prompt" divides a finished caption by its length
with the prompt and without the end token (transformers up to 4.35, which the released Tag2Text was used with);
"generated" divides by the generated tokens with the end token (4.36 and later).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

NEVER = -1e9


@dataclass(frozen=True)
class BeamConfig:
    """How captions are searched. Lengths count the prompt."""

    beams: int = 3
    max_length: int = 30
    min_length: int = 10
    repetition_penalty: float = 1.0
    normalisation: Literal["prompt", "generated"] = "prompt"


@dataclass
class _Finished:
    """The best captions of one image so far, as (score, ids)."""

    limit: int
    entries: list[tuple[float, list[int]]] = field(default_factory=list)

    def add(self, score: float, ids: list[int]) -> None:
        self.entries.append((score, ids))
        self.entries.sort(key=lambda entry: -entry[0])
        del self.entries[self.limit :]

    def is_done(self, best_possible: float) -> bool:
        return len(self.entries) == self.limit and self.entries[-1][0] >= best_possible


def penalise(scores: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative scores of tokens already in `ids` by `penalty`."""
    if penalty == 1.0:
        return scores
    seen = scores.gather(1, ids)
    return scores.scatter(1, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


class BeamSearch:
    """Batched beam search; images finish independently."""

    def __init__(self, config: BeamConfig, prompt: list[int], end: int, images: int) -> None:
        self.config, self.end, self.prompt_length = config, end, len(prompt)
        self.ids = torch.tensor(prompt).repeat(images * config.beams, 1)
        self.sums = torch.full((images, config.beams), NEVER)
        self.sums[:, 0] = 0.0
        self.finished = [_Finished(config.beams) for _ in range(images)]
        self.done = [False] * images

    def _length(self, ids: list[int], ended: bool) -> int:
        if self.config.normalisation == "prompt":
            return len(ids)
        return len(ids) - self.prompt_length + int(ended)

    def _stop_length(self) -> int:
        length = self.ids.shape[1]
        return length if self.config.normalisation == "prompt" else length + 1 - self.prompt_length

    def candidates(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Top 2 x beams of every image: summed scores, source beam and token, each (images, 2 x beams)."""
        scores = penalise(logits.log_softmax(-1), self.ids, self.config.repetition_penalty)
        if self.ids.shape[1] < self.config.min_length:
            scores[:, self.end] = -torch.inf
        words = scores.shape[-1]
        sums = (scores.view(len(self.done), -1, words) + self.sums[..., None]).flatten(1)
        best, places = sums.topk(2 * self.config.beams, dim=1)
        return best, places // words, places % words

    def _advance_image(
        self, image: int, ranked: list[tuple[float, int, int]]
    ) -> list[tuple[float, int, int]]:
        """Finish captions that end, keep the next beams of one image."""
        first, kept = image * self.config.beams, []
        for rank, (score, beam, token) in enumerate(ranked):
            if token != self.end:
                kept.append((score, first + beam, token))
            elif rank < self.config.beams:
                ids = self.ids[first + beam].tolist()
                self.finished[image].add(score / self._length(ids, ended=True), ids)
            if len(kept) == self.config.beams:
                break
        if self.finished[image].is_done(ranked[0][0] / self._stop_length()):
            self.done[image] = True
        return kept

    def advance(self, logits: Tensor) -> Tensor:
        """Take one step from (images * beams, V) logits; returns the rows to keep, for the decoder's cache."""
        best, beams, tokens = (value.tolist() for value in self.candidates(logits))
        rows: list[tuple[float, int, int]] = []
        for image, finished in enumerate(self.done):
            if finished:
                rows += [(0.0, image * self.config.beams, 0)] * self.config.beams
            else:
                ranked = list(zip(best[image], beams[image], tokens[image], strict=True))
                rows += self._advance_image(image, ranked)
        keep = torch.tensor([row for _, row, _ in rows])
        self.sums = torch.tensor([score for score, _, _ in rows]).view(len(self.done), -1)
        self.ids = torch.cat([self.ids[keep], torch.tensor([[token] for _, _, token in rows])], 1)
        return keep

    def is_over(self) -> bool:
        """All captions finished or as long as allowed."""
        return all(self.done) or self.ids.shape[1] >= self.config.max_length

    def results(self) -> list[tuple[list[int], float]]:
        """The best caption of every image: ids with the end token where it fits, and its score."""
        answers = []
        for image, finished in enumerate(self.finished):
            if not self.done[image]:
                for beam in range(self.config.beams):
                    ids = self.ids[image * self.config.beams + beam].tolist()
                    finished.add(float(self.sums[image, beam]) / self._length(ids, ended=False), ids)
            score, ids = finished.entries[0]
            answers.append(([*ids, self.end] if len(ids) < self.config.max_length else ids, score))
        return answers


def beam_search(
    step: Callable[[Tensor, Tensor | None], Tensor],
    config: BeamConfig,
    prompt: list[int],
    end: int,
    images: int,
) -> list[tuple[list[int], float]]:
    """Search with `step(new_ids, kept_rows)` -> (rows, V) logits of the last token.

    `new_ids` is (rows, T), the prompt first and one token afterwards; `kept_rows` reorders the decoder's cache.
    """
    search = BeamSearch(config, prompt, end, images)
    keep: Tensor | None = None
    fresh = search.ids
    while True:
        keep = search.advance(step(fresh, keep).float().cpu())
        if search.is_over():
            return search.results()
        fresh = search.ids[:, -1:]


def greedy_search(
    step: Callable[[Tensor, Tensor | None], Tensor],
    config: BeamConfig,
    prompt: list[int],
    end: int,
    images: int,
) -> list[tuple[list[int], float]]:
    """The most likely token at every step; the score is 0. Penalties act on raw logits."""
    ids, fresh = torch.tensor(prompt).repeat(images, 1), torch.tensor(prompt).repeat(images, 1)
    ended = torch.zeros(images, dtype=torch.bool)
    while ids.shape[1] < config.max_length and not bool(ended.all()):
        logits = penalise(step(fresh, None).float().cpu(), ids, config.repetition_penalty)
        if ids.shape[1] < config.min_length:
            logits[:, end] = -torch.inf
        fresh = torch.where(ended[:, None], end, logits.argmax(-1, keepdim=True))
        ids = torch.cat([ids, fresh], 1)
        ended |= fresh[:, 0] == end
    rows = ids.tolist()
    return [
        (row[: row.index(end, len(prompt)) + 1] if end in row[len(prompt) :] else row, 0.0) for row in rows
    ]
