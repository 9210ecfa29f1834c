"""Signing in with a browser, and out."""

from fastapi import APIRouter, Request, Response

from search_api import schemas, sessions
from search_api.access import Caller, Doors, brought_by
from search_api.problems import answers

router = APIRouter(prefix="/v1/session", tags=["access"])


@router.get("", responses=answers(401, 403, 503))
def current(request: Request) -> schemas.SessionOut:
    """Who one is: by the key or the cookie that came along, or anybody while there is no key."""
    return _told(_doors(request).recognise(brought_by(request)))


@router.post("", status_code=201, responses=answers(401, 429, 503))
def sign_in(body: schemas.SignIn, request: Request, response: Response) -> schemas.SessionOut:
    """Give the browser a session of the key's: a cookie, and a token that writes must carry.

    The cookie `sightline_csrf` has the token; send it back as `X-CSRF-Token` with everything but GET.
    """
    doors = _doors(request)
    key = doors.key_of(body.key.strip(), brought_by(request).address)
    doors.cookies.begin(response, key.id, secure=request.url.scheme == "https")
    return _told(Caller(key, "session"))


@router.delete("", status_code=204)
def sign_out() -> Response:
    """Take the session from the browser. Other browsers of the same key stay; revoking the key ends all."""
    response = Response(status_code=204)
    sessions.end(response)
    return response


def _doors(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


def _told(caller: Caller) -> schemas.SessionOut:
    name = None if caller.key is None else caller.key.name
    return schemas.SessionOut(signed_in_by=caller.by, name=name, scopes=sorted(caller.scopes))
