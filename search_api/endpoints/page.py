"""The page, and a readable form of the API's description."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parents[1] / "static"
# Asked again each time, answered 304: a new version is seen at once.
FRESH = {"Cache-Control": "no-cache"}


@router.get("/")
def page() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", headers=FRESH)


@router.get("/docs")
def reference() -> FileResponse:
    """The API in words, drawn from its OpenAPI description."""
    return FileResponse(STATIC / "docs.html", headers=FRESH)


@router.get("/favicon.ico")
def icon() -> FileResponse:
    """The icon, where browsers look for it."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml", headers=FRESH)
