"""Paths and addresses as people write them, against addresses as they are stored.

An address is stored as `file:///my%20photos/x.jpg`, `https://...` or `upload:<digest>/x.jpg`. A pattern is matched
against what a person sees of it, each character as itself or percent-encoded, in any case.
"""

import re
import unicodedata
from urllib.parse import quote

from sqlalchemy import ColumnElement, case, func

from indexer.tables import Source

_ONE = (
    "(?:[^%/]|%[0-7][0-9a-f]|%[cd][0-9a-f]%[89ab][0-9a-f]|%e[0-9a-f](?:%[89ab][0-9a-f]){2}"
    "|%f[0-7](?:%[89ab][0-9a-f]){3})"
)
# Never in the middle of an escape: "20" does not occur in "my%20photos".
_WHOLE = "(?<!%)(?<!%[0-9a-f])"
_NEVER_ENCODED = re.compile(r"[A-Za-z0-9_.~/-]")


def matches(pattern: str) -> ColumnElement[bool]:
    """Whether a source's path or address meets the pattern."""
    return _seen().regexp_match(expression(pattern), flags="i")


def _seen() -> ColumnElement[str]:
    """What a person sees: no `file://`, no digest of an upload."""
    return case(
        (Source.kind == "path", func.substr(Source.uri, len("file://") + 1)),
        (Source.kind == "upload", func.substr(Source.uri, func.strpos(Source.uri, "/"))),
        else_=Source.uri,
    )


def expression(pattern: str) -> str:
    """The pattern as a regular expression of Postgres, for the stored spelling.

    With `*` (anything) or `?` (one character) it must match to the end, from a folder's or file's beginning on;
    without, anywhere.
    """
    written = unicodedata.normalize("NFC", pattern).replace("\\", "/")
    body = "".join(map(_character, written))
    return f"(?:^|/){body}$" if set(written) & set("*?") else _WHOLE + body


def _character(character: str) -> str:
    if character == "*":
        return ".*"
    if character == "?":
        return _ONE
    if _NEVER_ENCODED.fullmatch(character):
        return re.escape(character)
    cases = {character, character.lower(), character.upper()}
    # File systems differ in whether "é" is one character or two.
    spellings = {unicodedata.normalize(form, c) for c in cases for form in ("NFC", "NFD")}
    either = {re.escape(spelling) for spelling in spellings} | {quote(s, safe="") for s in spellings}
    return f"(?:{'|'.join(sorted(either))})"
