"""ETags: what a reader holds is not sent again, and what a writer has not seen is not overwritten (RFC 9110)."""

import hashlib
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from indexer.errors import Stale

IfNoneMatch = Annotated[str | None, Header(description="ETags already held; answered 304 if one still holds")]
IfMatch = Annotated[
    str | None,
    Header(description="the ETag of the image as you know it: answered 412 if it has changed since"),
]


def etag(shown: BaseModel) -> str:
    """The ETag of what is shown: any change one could see changes it."""
    return f'"{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


def held(if_none_match: str | None, tag: str) -> bool:
    """Whether the reader holds it already."""
    return _among(if_none_match or "", tag, weakly=True)


def expect(if_match: str | None, shown: BaseModel) -> None:
    """Let a writer pass who knows the present state, or did not ask.

    Raises:
        Stale: it has changed since.
    """
    if if_match is not None and not _among(if_match, etag(shown), weakly=False):
        raise Stale(
            "The image has changed since you looked at it. Get it again, and decide on what it is now."
        )


def _among(header: str, tag: str, *, weakly: bool) -> bool:
    tags = [item.strip() for item in header.split(",")]
    return "*" in tags or tag in ([item.removeprefix("W/") for item in tags] if weakly else tags)
