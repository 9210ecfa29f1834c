"""The pictures themselves: thumbnails, and originals where they can still be had."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import Response

from indexer.catalog.hits import ImageView
from indexer.decoder import local_path
from indexer.errors import NotStored
from indexer.images import content_hash
from indexer.storage import Storage
from search_api import views
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.endpoints.images import find
from search_api.etags import IfNoneMatch, held
from search_api.problems import answers

router = APIRouter(prefix="/v1/images", tags=["images"], dependencies=[requires("images.read")])
# Shown by every current browser; others are offered for download.
SHOWN = frozenset({"jpeg", "png", "webp", "gif", "bmp", "avif"})
# An original is a stranger's file: whatever it is, it may run and load nothing.
SANDBOX = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
FOREVER, ASK_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"
Version = Annotated[
    str | None, Query(alias="v", description="start of the content hash, in links handed out")
]


@router.get("/{image_id}/thumbnail", response_class=Response, responses=answers(404, 503) | {304: {}})
def thumbnail(
    image_id: int, services: ServicesDep, if_none_match: IfNoneMatch = None, version: Version = None
) -> Response:
    """The thumbnail: WebP, upright, sRGB, at most 512 pixels a side."""
    with services.sessions() as session:
        view = find(session, image_id)
    headers = _caching(view, version, "thumbnail")
    if held(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    data = services.storage.get_thumbnail(view.content_hash)
    return Response(data, media_type="image/webp", headers=headers)


@router.get("/{image_id}/original", response_class=Response, responses=answers(404, 503) | {304: {}})
def original(
    image_id: int, services: ServicesDep, if_none_match: IfNoneMatch = None, version: Version = None
) -> Response:
    """The file as it came, byte for byte; formats browsers do not show are sent as a download.

    A file in a folder is read again and sent only if it is still the one that was indexed.
    """
    with services.sessions() as session:
        view = find(session, image_id)
    headers = _caching(view, version, "original")
    if held(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    data = _original(view, services.storage)
    kind = f"image/{view.format}" if view.format else "application/octet-stream"  # as decoding found it
    headers["Content-Disposition"] = _disposition(view)
    headers["Content-Security-Policy"] = SANDBOX
    return Response(data, media_type=kind, headers=headers)


def _caching(view: ImageView, version: str | None, part: str) -> dict[str, str]:
    """Content never changes under its hash; only a link that names the hash may be kept for ever."""
    digest = view.content_hash.hex()
    named = version is not None and len(version) >= 12 and digest.startswith(version)
    return {"ETag": f'"{part}-{digest}"', "Cache-Control": FOREVER if named else ASK_AGAIN}


def _original(view: ImageView, storage: Storage) -> bytes:
    for source in view.sources:
        if source.kind == "path" and (data := _unchanged_file(view, source.uri)) is not None:
            return data
    if not any(source.kind == "upload" for source in view.sources):
        raise NotStored("The file is no longer where it was indexed from, or it has changed. Index it again.")
    return storage.get_original(view.content_hash)


def _unchanged_file(view: ImageView, uri: str) -> bytes | None:
    path = local_path(uri)
    try:
        if not path.is_file() or path.stat().st_size != view.bytes:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    return data if content_hash(data) == view.content_hash else None


def _disposition(view: ImageView) -> str:
    """How to treat it and what to call it (RFC 6266)."""
    name = views.file_name(view.sources[0].uri) if view.sources else f"image-{view.id}"
    treat = "inline" if view.format in SHOWN else "attachment"
    return f"{treat}; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
