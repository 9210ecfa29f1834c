"""What an embedding must be before it is stored or searched for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.errors import SightlineError

Vectors = NDArray[np.float32]

NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Rows:
    """Embeddings of some images and of their captions.

    `images` (n, D) float32 of unit length, one for each of `image_ids`; `captions` (m, D), one for each of
    `caption_ids`, caption i describing the image `owners[i]`. No id twice.
    """

    image_ids: Sequence[int]
    images: Vectors
    caption_ids: Sequence[int]
    owners: Sequence[int]
    captions: Vectors


class InvalidEmbedding(SightlineError, ValueError):
    """Vectors of the wrong shape, not finite, or not of unit length."""


def checked(vectors: Vectors, shape: tuple[int, int], embedder: str) -> Vectors:
    """`vectors` as contiguous float32, if they have `shape` (rows, dimension) and each row has unit length.

    Raises `InvalidEmbedding`, naming the first row that is wrong.
    """
    if np.shape(vectors) != shape:
        raise InvalidEmbedding(
            f"Expected embeddings of shape {shape}, one row an id, as embedder {embedder} gives them; got "
            f"{np.shape(vectors)}."
        )
    contiguous = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(contiguous, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))  # so that NaN is wrong too
    if len(wrong):
        raise InvalidEmbedding(
            f"Embedding {wrong[0]} has length {norms[wrong[0]]:.4g}, not 1 (within {NORM_TOLERANCE}); "
            f"{len(wrong)} of {shape[0]} are wrong. L2-normalise vectors before storing or searching."
        )
    return contiguous
