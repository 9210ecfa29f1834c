"""Several texts and images, each with a weight, as one direction to look in.

A composed query is the weighted sum of its terms' unit embeddings, scaled to unit length, as is usual for
dual encoders (vector arithmetic on joint embeddings: Kiros, Salakhutdinov, Zemel 2014, "Unifying visual-semantic
embeddings"). Since a cosine with it is linear in the terms, every term's share of a hit's score is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.errors import QueryError
from indexer.query import ExampleTerm, ImageTerm, Term, TextTerm

Vector = NDArray[np.float32]
SHORTEST = 1e-3


@dataclass(frozen=True)
class Composition:
    """`target` (D,) unit length is the sum over terms of `shares` (T, D), each a term's weighted part of it."""

    terms: tuple[Term, ...]
    target: Vector
    shares: NDArray[np.float32]


def compose(terms: Sequence[Term], vectors: Sequence[Vector]) -> Composition:
    """One direction from the terms' unit embeddings (D,), in the same order.

    Raises:
        QueryError: the terms cancel each other out.
    """
    weighted = np.stack(
        [np.float32(term.weight) * vector for term, vector in zip(terms, vectors, strict=True)]
    )
    total = weighted.sum(axis=0)
    length = float(np.linalg.norm(total))
    if length < SHORTEST * float(np.abs(weighted).sum(axis=1).max()):
        raise QueryError("The examples cancel each other out: nothing is left to look for. Change a weight.")
    scale = np.float32(1 / length)
    return Composition(tuple(terms), total * scale, weighted * scale)


def texts(terms: Sequence[Term]) -> list[str]:
    """The texts among the terms, in order."""
    return [term.text for term in terms if isinstance(term, TextTerm)]


def image_ids(terms: Sequence[Term]) -> list[int]:
    """The indexed images among the terms, in order."""
    return [term.image_id for term in terms if isinstance(term, ImageTerm)]


def arrange(
    terms: Sequence[Term],
    by_text: Mapping[str, Vector],
    by_image: Mapping[int, Vector],
    by_token: Mapping[str, Vector],
) -> list[Vector]:
    """Each term's unit embedding, in the order of the terms."""
    found = []
    for term in terms:
        match term:
            case TextTerm(text=text):
                found.append(by_text[text])
            case ImageTerm(image_id=image_id):
                found.append(by_image[image_id])
            case ExampleTerm(token=token):
                found.append(by_token[token])
    return found


def name(term: Term) -> str:
    """How a term is told of: its text, `image 17`, or `your picture`."""
    match term:
        case TextTerm(text=text):
            return text
        case ImageTerm(image_id=image_id):
            return f"image {image_id}"
        case _:
            return "your picture"
