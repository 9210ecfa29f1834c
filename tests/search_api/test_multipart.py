"""Parts of a form, however the bytes arrive."""

import asyncio
import itertools

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import QueryError
from search_api.multipart import MAX_FIELD_BYTES, Part, parts

BODY = (
    b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\na d\xc3\xb6g\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\r\n--edg\r\n"
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n' + b"x" * 200 + b"\r\n"
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="last"\r\n\r\nend\r\n--edge--\r\n'
)


def _read(chunks: list[bytes], kind: str = "multipart/form-data; boundary=edge") -> list[Part]:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def collect() -> list[Part]:
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
        return [part async for part in parts(Request(scope, receive), 100)]

    return asyncio.run(collect())


@given(st.lists(st.integers(1, len(BODY) - 1), max_size=12))
def test_any_cut_gives_the_same_parts(cuts: list[int]) -> None:
    """Wherever the network cuts the body, the parts are the same, and only the large one is dropped."""
    edges = [0, *sorted(set(cuts)), len(BODY)]
    found = _read([BODY[a:b] for a, b in itertools.pairwise(edges)])
    assert [(part.name, part.filename) for part in found] == [
        ("text", None),
        ("file", "a.png"),
        ("file", "big"),
        ("file", "last"),
    ]
    assert found[0].text == "a dög"
    assert bytes(found[1].data) == b"\x89PNG\r\n\r\n--edg"
    assert (found[2].too_large, found[2].data) == (True, b"")
    assert bytes(found[3].data) == b"end"


def test_cut_short() -> None:
    """A body that ends inside a part is refused; nothing half-read is handed out as whole."""
    with pytest.raises(QueryError, match="damaged"):
        _read([BODY[:-40]])


def test_long_field() -> None:
    """Fields are small; a file's worth of text in one is refused by name."""
    head = b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
    with pytest.raises(QueryError, match="'text' is over"):
        _read([head, b"x" * (MAX_FIELD_BYTES + 1), b"\r\n--edge--\r\n"])


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "multipart/mixed; boundary=edge"])
def test_other_bodies(kind: str) -> None:
    """Only multipart/form-data with a boundary is read."""
    with pytest.raises(QueryError, match="multipart/form-data"):
        _read([BODY], kind)
