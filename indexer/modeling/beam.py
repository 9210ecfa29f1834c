"""Beam and greedy search over a decoder with a key-value cache, and what any search over it shares.

Two conventions of length normalisation exist for the same sums: "prompt" divides a finished caption by its length
with the prompt and without the end token (transformers up to 4.35, which the released Tag2Text was used with);
"generated" divides by the generated tokens with the end token (4.36 and later).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

NEVER = -1e9

# (new ids, rows kept) -> (rows, V) logits of the last token. New ids are (rows, T), the prompt first and one token
# afterwards; the rows kept, where given, reorder the decoder's cache.
Step = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class BeamConfig:
    """How captions are searched. Lengths count the prompt."""

    beams: int = 3
    max_length: int = 30
    min_length: int = 10
    repetition_penalty: float = 1.0
    normalisation: Literal["prompt", "generated"] = "prompt"


@dataclass(frozen=True)
class Candidate:
    """One caption that was found.

    `ids` begin with the prompt and end with the end token, unless the caption is as long as allowed.
    `log_probability` is the sum over the generated tokens, the end token included, of what the model said of each
    before any penalty; `score` is what captions were ranked by, a sum divided by a length.
    """

    ids: list[int]
    log_probability: float
    score: float


@dataclass
class _Finished:
    """The best captions of one image so far, best first."""

    limit: int
    entries: list[Candidate] = field(default_factory=list)

    def add(self, candidate: Candidate) -> None:
        self.entries.append(candidate)
        self.entries.sort(key=lambda entry: -entry.score)
        del self.entries[self.limit :]

    def is_done(self, best_possible: float) -> bool:
        return len(self.entries) == self.limit and self.entries[-1].score >= best_possible


def forbidden(scores: Tensor, token: int) -> Tensor:
    """(rows, V) scores with one token ruled out."""
    return scores.index_fill(1, torch.tensor([token]), -torch.inf)


def normalising_length(config: BeamConfig, ids: int, prompt: int, ended: bool) -> int:
    """What the sum of a caption of `ids` tokens, prompt included and end token not, is divided by."""
    return ids if config.normalisation == "prompt" else ids - prompt + int(ended)


def penalise(scores: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative scores of tokens already in `ids` by `penalty`."""
    if penalty == 1.0:
        return scores
    seen = scores.gather(1, ids)
    return scores.scatter(1, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


class _Choice(NamedTuple):
    """One way to go on: its summed score and log-probability, the row it continues, and the next token."""

    score: float
    log_probability: float
    row: int
    token: int


class BeamSearch:
    """Batched beam search; images finish independently."""

    def __init__(self, config: BeamConfig, prompt: list[int], end: int, images: int) -> None:
        self.config, self.end, self.prompt_length = config, end, len(prompt)
        self.ids = torch.tensor(prompt).repeat(images * config.beams, 1)
        self.sums = torch.full((images, config.beams), NEVER)
        self.sums[:, 0] = 0.0
        self.log_probabilities = torch.zeros(images, config.beams)
        self.finished = [_Finished(config.beams) for _ in range(images)]
        self.done = [False] * images

    def _finish(self, image: int, row: int, score: float, log_probability: float, ended: bool) -> None:
        ids = self.ids[row].tolist()
        length = normalising_length(self.config, len(ids), self.prompt_length, ended)
        if len(ids) < self.config.max_length:
            ids = [*ids, self.end]
        self.finished[image].add(Candidate(ids, log_probability, score / length))

    def _stop_length(self) -> int:
        length = self.ids.shape[1]
        return length if self.config.normalisation == "prompt" else length + 1 - self.prompt_length

    def choices(self, logits: Tensor) -> list[list[_Choice]]:
        """Top 2 x beams of every image, best first."""
        beams = self.config.beams
        plain = logits.log_softmax(-1)
        scores = penalise(plain, self.ids, self.config.repetition_penalty)
        if self.ids.shape[1] < self.config.min_length:
            scores = forbidden(scores, self.end)
        words = scores.shape[-1]
        sums = (scores.view(len(self.done), -1, words) + self.sums[..., None]).flatten(1)
        best, places = sums.topk(2 * beams, dim=1)
        sources = places // words
        of_tokens = plain.view(len(self.done), -1).gather(1, places)
        rows = sources + torch.arange(len(self.done))[:, None] * beams
        columns = (best, of_tokens + self.log_probabilities.gather(1, sources), rows, places % words)
        images = zip(*(column.tolist() for column in columns), strict=True)
        return [[_Choice(*choice) for choice in zip(*image, strict=True)] for image in images]

    def _advance_image(self, image: int, ranked: list[_Choice]) -> list[_Choice]:
        """Finish captions that end, keep the next beams of one image."""
        kept: list[_Choice] = []
        for rank, choice in enumerate(ranked):
            if choice.token != self.end:
                kept.append(choice)
            elif rank < self.config.beams:
                self._finish(image, choice.row, choice.score, choice.log_probability, ended=True)
            if len(kept) == self.config.beams:
                break
        if self.finished[image].is_done(ranked[0].score / self._stop_length()):
            self.done[image] = True
        return kept

    def advance(self, logits: Tensor) -> Tensor:
        """Take one step from (images * beams, V) logits; returns the rows to keep, for the decoder's cache."""
        beams = self.config.beams
        kept: list[_Choice] = []
        for image, ranked in enumerate(self.choices(logits)):
            if self.done[image]:
                kept += [_Choice(0.0, 0.0, image * beams, 0)] * beams
            else:
                kept += self._advance_image(image, ranked)
        keep = torch.tensor([choice.row for choice in kept])
        self.sums = torch.tensor([choice.score for choice in kept]).view(-1, beams)
        self.log_probabilities = torch.tensor([choice.log_probability for choice in kept]).view(-1, beams)
        self.ids = torch.cat([self.ids[keep], torch.tensor([[choice.token] for choice in kept])], 1)
        return keep

    def is_over(self) -> bool:
        """All captions finished or as long as allowed."""
        return all(self.done) or self.ids.shape[1] >= self.config.max_length

    def results(self) -> list[list[Candidate]]:
        """The best captions of every image, at most as many as beams, best first."""
        for row, (score, log_probability) in enumerate(
            zip(self.sums.flatten().tolist(), self.log_probabilities.flatten().tolist(), strict=True)
        ):
            image = row // self.config.beams
            if not self.done[image]:
                self._finish(image, row, score, log_probability, ended=False)
        return [finished.entries for finished in self.finished]


def beam_search(
    step: Step, config: BeamConfig, prompt: list[int], end: int, images: int
) -> list[list[Candidate]]:
    """The best captions of every image, at most as many as beams, best first."""
    search = BeamSearch(config, prompt, end, images)
    keep: Tensor | None = None
    fresh = search.ids
    while True:
        keep = search.advance(step(fresh, keep).float().cpu())
        if search.is_over():
            return search.results()
        fresh = search.ids[:, -1:]


@dataclass
class Generation:
    """Captions that grow token by token without being compared: (rows, T) ids, and what they were given.

    Rows that have ended are filled up with the end token, which adds nothing.
    """

    config: BeamConfig
    prompt: list[int]
    end: int
    rows: int

    def __post_init__(self) -> None:
        self.ids = torch.tensor(self.prompt).repeat(self.rows, 1)
        self.log_probabilities = torch.zeros(self.rows)
        self.ended = torch.zeros(self.rows, dtype=torch.bool)

    def processed(self, logits: Tensor, penalty: float) -> Tensor:
        """(rows, V) logits with repetitions penalised, and no end before its time."""
        logits = penalise(logits, self.ids, penalty)
        return forbidden(logits, self.end) if self.ids.shape[1] < self.config.min_length else logits

    def append(self, tokens: Tensor, logits: Tensor) -> None:
        """Take (rows, 1) tokens, chosen by whatever rule from these (rows, V) logits."""
        said = logits.log_softmax(-1).gather(1, tokens)[:, 0]
        self.log_probabilities += torch.where(self.ended, 0.0, said)
        self.ids = torch.cat([self.ids, torch.where(self.ended[:, None], self.end, tokens)], 1)
        self.ended |= self.ids[:, -1] == self.end

    def is_over(self) -> bool:
        """All ended, or as long as allowed."""
        return bool(self.ended.all()) or self.ids.shape[1] >= self.config.max_length

    def results(self) -> list[Candidate]:
        """One caption a row."""
        rows = zip(self.ids.tolist(), self.log_probabilities.tolist(), self.ended.tolist(), strict=True)
        return [self._result(*row) for row in rows]

    def _result(self, ids: list[int], log_probability: float, ended: bool) -> Candidate:
        prompt = len(self.prompt)
        said = ids[: ids.index(self.end, prompt)] if ended else ids
        length = normalising_length(self.config, len(said), prompt, ended)
        return Candidate([*said, self.end] if ended else said, log_probability, log_probability / length)


def greedy_search(
    step: Step, config: BeamConfig, prompt: list[int], end: int, images: int
) -> list[list[Candidate]]:
    """The most likely token at every step, one caption an image. Penalties act on raw logits."""
    generation = Generation(config, prompt, end, images)
    fresh = generation.ids
    while not generation.is_over():
        logits = step(fresh, None).float().cpu()
        best = generation.processed(logits, config.repetition_penalty).argmax(-1, keepdim=True)
        generation.append(best, logits)
        fresh = generation.ids[:, -1:]
    return [[candidate] for candidate in generation.results()]
