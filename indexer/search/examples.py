"""A picture somebody shows, as a token: its embedding in text, so that nothing of it is kept here.

`e1.` + base64url of: CRC-32 of what follows (4 bytes), length of the embedder's version (1 byte), that
version (UTF-8), the embedding (D x float16, little-endian). The token fits into a query and an address
(about 720 characters at 256 dimensions), works on every server with the same embedder, and says so where it
does not.
"""

import base64
import binascii
import struct
import zlib

import numpy as np

from indexer.errors import QueryError

PREFIX = "e1."
_CHECKSUM = struct.Struct("<I")


def encode(embedding: np.ndarray, version: str) -> str:
    """An embedding (D,), unit length, as a token; `version` is its embedder's, at most 255 bytes of UTF-8."""
    name = version.encode()
    content = bytes([len(name)]) + name + np.asarray(embedding, "<f2").tobytes()
    packed = _CHECKSUM.pack(zlib.crc32(content)) + content
    return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(token: str, version: str, dimension: int) -> np.ndarray:
    """The embedding (dimension,) float32, unit length, of a token made by the embedder of this version.

    Raises:
        QueryError: it is no token, a damaged one, or of another embedder; the message says what to do.
    """
    content = _checked(token)
    name = content[1 : 1 + content[0]].decode("utf-8", "replace")
    if name != version:
        raise QueryError(
            f"This example was made by another embedder ({name!r}, here is {version!r}): upload the picture"
            " again (`POST /v1/examples`)."
        )
    values = content[1 + content[0] :]
    if len(values) != 2 * dimension:
        raise _damaged(f"it holds {len(values)} bytes of embedding, not {2 * dimension}")
    embedding = np.frombuffer(values, "<f2").astype(np.float32)
    length = float(np.linalg.norm(embedding))
    if not 0.5 < length < 2.0:  # also not a number
        raise _damaged("its embedding has no length")
    return embedding / length


def _checked(token: str) -> bytes:
    if not token.startswith(PREFIX):
        raise QueryError(
            f"{token[:20]!r} is no example: `POST /v1/examples` makes one of a picture; it starts with {PREFIX!r}."
        )
    text = token.removeprefix(PREFIX)
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _damaged("it holds characters no token has, or too few") from error
    content = packed[_CHECKSUM.size :]
    if not content or _CHECKSUM.unpack_from(packed)[0] != zlib.crc32(content):
        raise _damaged("its checksum is wrong")
    return content


def _damaged(how: str) -> QueryError:
    return QueryError(
        f"The example is damaged ({how}): copy it whole, or upload the picture again (`POST /v1/examples`)."
    )
