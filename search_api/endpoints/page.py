"""The page, and a readable form of the API's description."""

from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from sqlalchemy.exc import OperationalError

from indexer.errors import NotSignedIn, SightlineError
from search_api.access import Doors, brought_by

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parents[1] / "static"
# Asked again each time, answered 304: a new version is seen at once.
FRESH = {"Cache-Control": "no-cache"}


@router.get("/")
def page(request: Request) -> Response:
    """The page; to the door first, where a key is needed and nobody is signed in."""
    if _is_stranger(request):
        wanted = urlencode({"next": f"/?{request.url.query}" if request.url.query else "/"})
        return RedirectResponse(f"/login?{wanted}", 303, {"Cache-Control": "no-store"})
    return FileResponse(STATIC / "index.html", headers=FRESH)


@router.get("/login")
def door() -> FileResponse:
    """Where one signs in with a key."""
    return FileResponse(STATIC / "login.html", headers=FRESH)


@router.get("/docs")
def reference() -> FileResponse:
    """The API in words, drawn from its OpenAPI description."""
    return FileResponse(STATIC / "docs.html", headers=FRESH)


@router.get("/favicon.ico")
def icon() -> FileResponse:
    """The icon, where browsers look for it."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml", headers=FRESH)


def _is_stranger(request: Request) -> bool:
    doors: Doors = request.app.state.doors
    try:
        doors.recognise(brought_by(request))
    except NotSignedIn:
        return True
    except (SightlineError, OperationalError):
        return False  # the page itself is no secret, and says what is wrong
    return False
