"""Where a page ended, so that the next one begins there however many images come and go meanwhile.

A cursor names the last hit by what it was ordered by, not by how many came before it. For a ranking it also carries
what the scores were made of, the background's means and deviations and the cut-off: an image's score is then the same
on every page, though the library has changed.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from indexer.errors import QueryError
from indexer.query import Query, to_text

VERSION = 1
Key = tuple[float | None, int]
MAX_ID = 2**62


@dataclass(frozen=True)
class Cursor:
    """`after`: what the last hit was ordered by, then its id. `scales`: channel -> (mean, deviation)."""

    query: str
    after: Key
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    floor: float | None = None

    def __str__(self) -> str:
        """The cursor as it travels: base64url of JSON."""
        text = json.dumps({"v": VERSION, **asdict(self)}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def digest(query: Query, *choices: object) -> str:
    """Tells one search from another; pages of one search share it."""
    text = "\n".join([to_text(query), *map(str, choices)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(text: str, query: str) -> Cursor:
    """The cursor written in `text`, for the search whose digest is `query`.

    Raises:
        QueryError: damaged, or made by another search.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        stored = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if stored.pop("v") != VERSION:
            raise ValueError("version")
        scales = {str(name): (float(mean), float(dev)) for name, (mean, dev) in stored["scales"].items()}
        floor = None if stored["floor"] is None else float(stored["floor"])
        found = Cursor(str(stored["query"]), _key(*stored["after"]), scales, floor)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise QueryError(
            f"The cursor {text[:20]!r} is damaged. Use next_cursor as it was given, or begin without one."
        ) from error
    if found.query != query:
        raise QueryError(
            "The cursor belongs to another search, or was given before the library changed to another embedder. Begin"
            " without one."
        )
    return found


def _key(value: object, image_id: object) -> Key:
    if not isinstance(image_id, int) or not 0 <= image_id < MAX_ID:
        raise ValueError("id")
    if value is not None and not (isinstance(value, int | float) and abs(value) < MAX_ID):
        raise ValueError("value")
    return value, image_id
