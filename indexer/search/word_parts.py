"""Which words made the match: the cosine once more without each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.search.words import words

MOST_WORDS = 16  # each is one more text to embed

Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class WordPart:
    """One word's characters in its text, and by how much the cosine falls when it is left out (below 0: rises)."""

    word: str
    start: int
    end: int
    part: float


def word_parts(embed: Embed, text: str, other: np.ndarray) -> tuple[WordPart, ...]:
    """What each word of a text adds to its cosine with something else: an image, or another text.

    By occlusion ("Understanding Neural Networks through Representation Erasure", Li, Monroe, Jurafsky 2016). Words
    explain each other, so the parts do not add up to the cosine. Those that only join others are not asked about,
    nor any after the first `MOST_WORDS`; a text of one word is all of its cosine.

    Args:
        embed: texts -> (N, D) unit vectors, as `Embedder.embed_texts`.
        text: a query's text, or a caption.
        other: (D,) unit vector.
    """
    asked = [word for word in words(text) if word.means_something][:MOST_WORDS]
    without = [" ".join((text[: word.start] + text[word.end :]).split()) for word in asked]
    rows = embed([text, *(rest for rest in without if rest)]) @ other
    whole, left = float(rows[0]), iter(rows[1:])
    return tuple(
        WordPart(
            text[word.start : word.end], word.start, word.end, whole - float(next(left)) if rest else whole
        )
        for word, rest in zip(asked, without, strict=True)
    )
