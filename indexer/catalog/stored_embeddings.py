"""Embeddings in bulk, as arrays: a million rows a channel in seconds, in bounded memory.

Read by COPY in binary, whose rows are all of one length here, so that numpy reads a page of them at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from indexer.errors import ConfigurationError

PAGE = 8_192  # rows turned into one array: 8 MB at 256 dimensions
_HEADER = 19  # bytes before the first row: signature, flags, length of extensions

_ROWS = {
    "image": "SELECT image_id, embedding FROM image_embeddings WHERE annotator_id = {annotator}",
    "caption": (
        "SELECT c.image_id, e.embedding FROM caption_embeddings e JOIN captions c ON c.id = e.caption_id"
        " WHERE e.annotator_id = {annotator}"
    ),
}
_AMONG = {"image": " AND image_id = ANY({ids})", "caption": " AND c.image_id = ANY({ids})"}
_COUNT = {
    "image": text("SELECT count(*) FROM image_embeddings WHERE annotator_id = :annotator"),
    "caption": text("SELECT count(*) FROM caption_embeddings WHERE annotator_id = :annotator"),
}


@dataclass(frozen=True)
class Page:
    """Image ids (n,) int64, in no order, and an embedding of each (n, D) float32 of unit length.

    In the caption channel an id appears once for each of the image's captions.
    """

    ids: NDArray[np.int64]
    rows: NDArray[np.float32]


def count(session: Session, channel: Literal["image", "caption"], embedder_id: int) -> int:
    """How many embeddings by this embedder are stored."""
    return int(session.scalar(_COUNT[channel], {"annotator": embedder_id}) or 0)


def pages(
    session: Session,
    channel: Literal["image", "caption"],
    embedder_id: int,
    dimension: int,
    among: Sequence[int] | NDArray[np.int64] | None = None,
) -> Iterator[Page]:
    """The stored embeddings, of the images `among` or of all, a page at a time.

    Raises `ConfigurationError` if one has not `dimension` components.
    """
    statement = sql.SQL(_ROWS[channel]).format(annotator=sql.Literal(int(embedder_id)))
    if among is not None:
        ids = sql.Literal([int(i) for i in among])
        statement += sql.SQL(_AMONG[channel]).format(ids=ids + sql.SQL("::bigint[]"))
    copying = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(statement)
    live = session.connection().connection.driver_connection
    assert live is not None
    with live.cursor() as cursor, cursor.copy(copying) as copy:
        messages = iter(copy)
        head = _HEADER
        while taken := list(islice(messages, PAGE)):
            page = b"".join(taken)[head:]
            head = 0
            if rows := _rows(page.removesuffix(b"\xff\xff"), dimension):
                yield rows


def unit(packed: NDArray[np.float16]) -> NDArray[np.float32]:
    """Rows (n, D) as kept, scaled to length 1. The same bits give the same bits, however many rows there are."""
    rows = packed.astype(np.float32)
    # Products of two float16 are exact in float32, and their sum in float64 is as good as exact.
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    rows /= np.maximum(norms, 1e-6).astype(np.float32)[:, None]
    return rows


def _rows(page: bytes, dimension: int) -> Page | None:
    layout = np.dtype(
        [("fields", ">i2"), ("_", ">i4"), ("id", ">i8"), ("bytes", ">i4"), ("embedding", "<f2", dimension)]
    )
    if not page:
        return None
    whole = len(page) % layout.itemsize == 0
    rows = np.frombuffer(page, layout) if whole else None
    if rows is None or (rows["bytes"] != 2 * dimension).any():
        raise ConfigurationError(
            f"Postgres holds embeddings that have not the {dimension} components the embedder gives. Set "
            "SIGHTLINE_EMBEDDER to the embedder they were made with, or index the images again."
        )
    return Page(rows["id"].astype(np.int64), unit(rows["embedding"]))
