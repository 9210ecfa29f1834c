"""What each channel is worth, and what it is worth that an image shows a tag the query's text names.

Weights of standings (see `background`), chosen on the photos of Flickr8k's training split that the bundled models
were not trained on: 1,370 captions, each to find its photo among 356, and 83 words, each to find the photos whose
captions mention it. Captions want the image channel before all; words want the tag.

The tag's part is the square of the share of the text's words that it names. Asked for "dog", whoever the tagger
called a dog comes first; in "a dog in the snow by a red house" the same tag is one of four clues, and the embedding of
the whole text tells more than they do together.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from indexer.search.words import content_words

WEIGHTS: Mapping[str, float] = {"image": 0.8, "caption": 0.2}
# In standings, where the tag is all that is asked: for being shown at all, and for being shown with certainty.
SHOWN, SURE = 3.0, 6.0


class Named(Protocol):
    """A tag that a text names, and where."""

    @property
    def tag_id(self) -> int:
        """Its id."""
        ...

    @property
    def start(self) -> int:
        """Its first character in the text."""
        ...

    @property
    def end(self) -> int:
        """Behind its last character in the text."""
        ...


def shares(text: str, named: Sequence[Named]) -> dict[int, float]:
    """How much of the evidence each tag named in a text gives, by tag id: 0 to 1."""
    every = content_words(text)
    found: dict[int, float] = {}
    for tag in named:
        covered = sum(tag.start <= word.start and word.end <= tag.end for word in every)
        share = (covered / len(every)) ** 2 if every else 0.0
        found[tag.tag_id] = max(share, found.get(tag.tag_id, 0.0))
    return found


def tag_part(share: float, confidences: np.ndarray) -> np.ndarray:
    """What images that show a tag get on their scores.

    Args:
        share: of the evidence, as from `shares`.
        confidences: (K,) how surely each shows it, 0 to 1.
    """
    part: np.ndarray = share * (SHOWN + SURE * confidences)
    return part
