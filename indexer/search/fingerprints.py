"""Whether somebody has edited a cell of an exported table since it was exported."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime


def fingerprint(cells: Sequence[str | None]) -> str:
    """Eight hexadecimal digits for each cell, dashes between."""
    return "-".join(digest(cell) for cell in cells)


def digest(cell: str | None) -> str:
    """Eight hexadecimal digits of what a cell says, whatever a spreadsheet does to its spaces and line ends."""
    return hashlib.blake2b(spoken(cell).encode("utf-8", "replace"), digest_size=4).hexdigest()


def spoken(cell: str | None) -> str:
    """What a cell says: its words, single spaces between."""
    return " ".join((cell or "").split())


def fact_digest(cell: str) -> str:
    """Four hexadecimal digits of what a cell tells, also where a spreadsheet writes numbers and times its own way."""
    return digest("; ".join(_plainly(item) for item in spoken(cell).split("; ")))[:4]


def _plainly(item: str) -> str:
    with suppress(ValueError):
        return f"{float(item.replace(',', '.')):.7g}"
    with suppress(ValueError):
        return datetime.fromisoformat(item).isoformat()
    return item
