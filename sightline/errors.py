"""What can go wrong, as the server tells it.

SightlineError
├── Problem         the server refused, and says why
└── Unreachable     no server answered
"""

from collections.abc import Mapping
from typing import Any


class SightlineError(Exception):
    """Base of what the client raises."""


class Problem(SightlineError):
    """A refusal: RFC 9457 problem details.

    `status` is HTTP's, `name` is stable ("unknown_tag", "query_syntax_error", "not_found"), `detail` is for people.
    `more` has what this kind tells besides, such as `position` and `suggestions` of a slip in a query.
    """

    def __init__(self, status: int, name: str, title: str, detail: str, more: Mapping[str, Any]) -> None:
        self.status = status
        self.name = name
        self.title = title
        self.detail = detail
        self.more = dict(more)
        super().__init__(f"{title}: {detail}")

    @classmethod
    def read(cls, status: int, body: object) -> "Problem":
        """The problem of an answer's JSON; an answer that is none, as a proxy sends, is told by its status."""
        told = dict(body) if isinstance(body, Mapping) else {}
        words = [str(told.pop(key, "")) for key in ("name", "title", "detail")]
        name, title, detail = words[0] or "http_error", words[1] or f"HTTP {status}", words[2]
        return cls(
            status, name, title, detail, {k: v for k, v in told.items() if k not in ("type", "status")}
        )


class Unreachable(SightlineError):
    """No server answered at the address, or it stopped in the middle of an answer."""
