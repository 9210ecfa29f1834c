"""Three channels, one score: the image's embedding, its caption's embedding, and the tags the text names.

A cosine counts by how far it stands above the query's own background in its channel (see `background`), a tag by
how surely it is shown (see `evidence`). The score is their weighted sum, so each channel's part can be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexer.catalog import names
from indexer.nearest import CHANNELS, Target
from indexer.postings import View
from indexer.query import Term, TextTerm
from indexer.search.background import Spread
from indexer.search.evidence import WEIGHTS, shares, tag_part

DOUBT = 2.0  # deviations: 39 of 40 captions stand higher
WHOLE = 1 - 1e-6  # of the words, and of the terms' weights


@dataclass(frozen=True)
class Evidence:
    """The tag channel's parts: what `ids` (K,), ascending, get on their scores for the tags `named`.

    `whole`: one tag is all that the query's words say.
    """

    named: tuple[int, ...]
    whole: bool
    ids: NDArray[np.int64]
    parts: NDArray[np.float32]


def evidence(session: Session, view: View, terms: Sequence[Term]) -> Evidence:
    """What images get for showing tags that the texts name. A text counts by its weight among the terms'."""
    whole = sum(abs(term.weight) for term in terms)
    worth: dict[int, float] = {}
    for term in terms:
        if isinstance(term, TextTerm) and term.weight > 0:
            named = names.tags_in_text(session, term.text)
            for tag_id, share in shares(term.text, named).items():
                worth[tag_id] = worth.get(tag_id, 0.0) + share * term.weight / whole
    shown = {tag_id: view.tag_confidences(tag_id) for tag_id in worth}
    parts = [tag_part(worth[tag_id], confidences) for tag_id, (_, confidences) in shown.items()]
    lone = max(worth.values(), default=0.0) >= WHOLE
    return Evidence(tuple(worth), lone, *_summed([ids for ids, _ in shown.values()], parts))


def _summed(
    ids: Sequence[NDArray[np.int64]], parts: Sequence[NDArray[np.float32]]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if not ids:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    found, places = np.unique(np.concatenate(ids), return_inverse=True)
    sums = np.bincount(places, np.concatenate(parts), minlength=len(found))
    return found.astype(np.int64), sums.astype(np.float32)


def aim(vector: NDArray[np.float32], scales: Mapping[str, Spread], shown: Evidence) -> Target:
    """What to look for: `vector` (D,) in both channels, by standing, and tags on top.

    A score of it is `offset(scales)` above the one told to people, since the means are left out.
    """
    return Target(
        vectors=dict.fromkeys(CHANNELS, vector),
        weights={name: WEIGHTS[name] / scales[name].deviation for name in CHANNELS},
        missing={name: scales[name].mean for name in CHANNELS},
        bonus_ids=shown.ids,
        bonus=shown.parts,
    )


def offset(scales: Mapping[str, Spread]) -> float:
    """The score of an image that is at the background's mean in every channel."""
    return sum(WEIGHTS[name] * scales[name].mean / scales[name].deviation for name in CHANNELS)


def score_of(scales: Mapping[str, Spread], cosine: float) -> float:
    """What an image with this cosine scores at least: its caption may be `DOUBT` below the background's mean."""
    above = (cosine - scales["image"].mean) / scales["image"].deviation
    return offset(scales) + WEIGHTS["image"] * above - WEIGHTS["caption"] * DOUBT
