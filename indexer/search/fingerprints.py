"""Whether somebody has edited a cell of an exported table since it was exported."""

import hashlib
from collections.abc import Sequence


def fingerprint(cells: Sequence[str | None]) -> str:
    """Eight hexadecimal digits for each cell, dashes between."""
    return "-".join(digest(cell) for cell in cells)


def digest(cell: str | None) -> str:
    """Eight hexadecimal digits of what a cell says, whatever a spreadsheet does to its spaces and line ends."""
    return hashlib.blake2b(spoken(cell).encode("utf-8", "replace"), digest_size=4).hexdigest()


def spoken(cell: str | None) -> str:
    """What a cell says: its words, single spaces between."""
    return " ".join((cell or "").split())
