"""What one written value covers, and how a slip in it is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.query.tree import Bound


class Slip(Exception):
    """A value that cannot be read; whoever knows where it stands turns this into a QuerySyntaxError.

    `suggestions` could stand in the value's place.
    """

    def __init__(self, message: str, suggestions: Sequence[str] = ()) -> None:
        self.suggestions = tuple(suggestions)
        super().__init__(message)


@dataclass(frozen=True)
class Extent:
    """From `low`, included, to `high`: "5" is one number, "2024" a year whose end is left out."""

    low: Bound
    high: Bound
    high_open: bool = False
