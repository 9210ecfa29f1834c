"""multipart/form-data read part by part, with a limit on each file.

Only one part is in memory at a time, and of a file over the limit nothing but its name: a request may
carry thousands of pictures, and one that is too large does not cost the others their place.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from indexer.errors import QueryError

MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 10_000


@dataclass
class Part:
    """One part: a field (`filename` is None) or a file; `data` of a file that is `too_large` is empty."""

    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)
    too_large: bool = False

    @property
    def text(self) -> str:
        """A field's value."""
        return self.data.decode("utf-8", "replace")


class _Collector:
    """Turns the parser's callbacks into finished parts."""

    def __init__(self, max_file_bytes: int) -> None:
        self.max_file_bytes = max_file_bytes
        self.finished: list[Part] = []
        self.complete = False
        self._part = Part()
        self._field, self._value = b"", b""

    def callbacks(self) -> dict[str, object]:
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "end")
        return {f"on_{name}": getattr(self, name) for name in names}

    def part_begin(self) -> None:
        self._part = Part()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                self._part.filename = options[b"filename"].decode("utf-8", "replace")
        self._field, self._value = b"", b""

    def part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        limit = MAX_FIELD_BYTES if part.filename is None else self.max_file_bytes
        if part.too_large:
            return
        if len(part.data) + end - start > limit:
            part.too_large, part.data = True, bytearray()
            return
        part.data += data[start:end]

    def part_end(self) -> None:
        self.finished.append(self._part)

    def end(self) -> None:
        self.complete = True


async def parts(request: Request, max_file_bytes: int) -> AsyncIterator[Part]:
    """The request's parts as they arrive.

    Raises:
        QueryError: not well-formed multipart/form-data, a field over 64 KiB, or too many parts.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise QueryError("Send the files as multipart/form-data, each in a part with a file name.")
    collector = _Collector(max_file_bytes)
    seen = 0
    try:
        parser = MultipartParser(options[b"boundary"], collector.callbacks())  # type: ignore[arg-type]
        async for chunk in request.stream():
            parser.write(chunk)
            for part in _checked(collector.finished):
                seen += 1
                if seen > MAX_PARTS:
                    raise QueryError(f"A request may have {MAX_PARTS:,} parts; send the rest in another.")
                yield part
            collector.finished.clear()
    except FormParserError as error:
        raise QueryError(f"The multipart body is damaged ({error}); send it again.") from error
    if not collector.complete:
        raise QueryError("The multipart body is damaged (it ends too early); send it again.")


def _checked(finished: Iterable[Part]) -> Iterable[Part]:
    for part in finished:
        if part.filename is None and part.too_large:
            raise QueryError(f"The field {part.name[:50]!r} is over {MAX_FIELD_BYTES:,} bytes.")
        yield part
