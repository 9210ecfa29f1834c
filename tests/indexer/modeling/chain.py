"""A language model small enough to check searches by hand: the next word depends on the last one alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

WORDS, END = 12, 11
PROMPT = [0, 1]


class Chain:
    """One table of transitions an image; usable as the `step` of a search, with any number of rows an image."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.tables = torch.stack(
            [torch.randn(WORDS, WORDS, generator=torch.Generator().manual_seed(s)) for s in seeds]
        )

    def __call__(self, new_ids: Tensor, _kept_rows: Tensor | None) -> Tensor:
        """(rows, V) logits after the last of the new words."""
        tables = self.tables.repeat_interleave(len(new_ids) // len(self.tables), 0)
        return 2 * tables[torch.arange(len(new_ids)), new_ids[:, -1]]

    def log_probability(self, image: int, ids: Sequence[int]) -> float:
        """Of the words behind the prompt."""
        table = (2 * self.tables[image]).log_softmax(-1)
        steps = zip(ids[len(PROMPT) - 1 :], ids[len(PROMPT) :], strict=False)
        return float(sum(table[before, after] for before, after in steps))
