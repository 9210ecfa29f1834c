"""Browsers that sign in: their cookies, their writes, and how it ends."""

import stat
import threading
import time
from pathlib import Path

import pytest
from fastapi import Response
from hypothesis import given
from hypothesis import strategies as st

from search_api.sessions import SessionCookies, own_secret
from tests.search_api.locked import Locked

TOKEN = "X-CSRF-Token"
COOKIES = SessionCookies(lambda: "a secret", 60)


def test_signing_in_and_out(doors: Locked) -> None:
    """A key becomes a session with the key's scopes; signing out takes it and what was cached."""
    browser = doors.browser("search", "tags.write")
    told = browser.get("/v1/session").json()
    assert (told["signed_in_by"], told["scopes"]) == ("session", ["search", "tags.write"])
    assert browser.get("/v1/tags").status_code == 200
    assert browser.get("/v1/images/1").status_code == 403
    out = browser.delete("/v1/session")
    assert (out.status_code, out.headers["clear-site-data"]) == (204, '"cache"')
    assert browser.cookies.get("sightline_session") is None
    assert browser.get("/v1/tags").status_code == 401


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_are_kept_close(doors: Locked, scheme: str) -> None:
    """Neither goes to other sites; scripts cannot read the session; by https both stay there."""
    answer = doors.caller(scheme=scheme).post("/v1/session", json={"key": doors.key("search")})
    session, token = (cookie.lower() for cookie in answer.headers.get_list("set-cookie"))
    assert session.startswith("sightline_session=")
    assert token.startswith("sightline_csrf=")
    for cookie in (session, token):
        assert "samesite=strict" in cookie
        assert "path=/" in cookie
        assert "domain" not in cookie
        assert ("secure" in cookie) is (scheme == "https")
    assert ("httponly" in session, "httponly" in token) == (True, False)
    assert ("strict-transport-security" in answer.headers) is (scheme == "https")


def test_writes_need_the_token(doors: Locked) -> None:
    """Its own: none, another session's and a guessed one are refused, and so is a search sent by POST."""
    browser, other = doors.browser("admin"), doors.browser("admin")
    own, strange = browser.cookies["sightline_csrf"], other.cookies["sightline_csrf"]
    for headers in ({}, {TOKEN: strange}, {TOKEN: ""}, {TOKEN: own[:-1]}, {TOKEN: b"\xff\xfe"}):
        for method, path in (("POST", "/v1/search"), ("DELETE", "/v1/images/1"), ("POST", "/v1/images")):
            answer = browser.request(method, path, headers=headers)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["name"]) == (403, "not_allowed")
    assert browser.post("/v1/search", json={}, headers={TOKEN: own}).status_code == 200
    assert browser.get("/v1/search").status_code == 200


def test_a_key_sent_along_needs_no_token(doors: Locked) -> None:
    """No other site can make a browser send it; it counts before the cookie."""
    browser = doors.browser("search")
    headers = {"authorization": f"Bearer {doors.admin}"}
    assert browser.post("/v1/search", json={}, headers=headers).status_code == 200
    assert browser.get("/v1/session", headers=headers).json()["scopes"][0] == "admin"


def test_other_sites_cannot_write_even_with_a_token(doors: Locked) -> None:
    """What a browser says of where a request came from is believed first."""
    browser = doors.browser("admin")
    headers = {TOKEN: browser.cookies["sightline_csrf"], "sec-fetch-site": "cross-site"}
    assert browser.post("/v1/search", json={}, headers=headers).json()["name"] == "cross_site"


def _cookie(key_id: int = 7) -> tuple[str, str]:
    response = Response()
    session = COOKIES.begin(response, key_id, secure=False)
    return response.headers.getlist("set-cookie")[0].partition("=")[2].partition(";")[0], session.csrf


@given(st.integers(0, 80), st.characters(codec="utf-8"))
def test_a_changed_cookie_is_none(place: int, letter: str) -> None:
    """Whatever is changed, anywhere in it: nobody is signed in, and nothing breaks."""
    cookie, _ = _cookie()
    place %= len(cookie)
    changed = cookie[:place] + letter + cookie[place + 1 :]
    found = COOKIES.read(changed)
    assert found is None or COOKIES.read(cookie) == found


@given(st.text(max_size=60))
def test_any_text_as_a_cookie(text: str) -> None:
    """No text of somebody else's is a session."""
    assert COOKIES.read(text) is None
    assert SessionCookies(lambda: text or "x", 60).read(_cookie()[0]) is None


def test_a_session_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the server's clock, not by what the browser keeps."""
    cookie, csrf = _cookie()
    found = COOKIES.read(cookie)
    assert found is not None
    assert (found.key_id, found.csrf) == (7, csrf)
    later = time.time() + 61
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert COOKIES.read(cookie) is None


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    """By whoever comes first, for its owner only; processes that start together agree."""
    home, secrets = tmp_path / "home", []
    threads = [threading.Thread(target=lambda: secrets.append(own_secret(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(secrets), len(set(secrets)), len(secrets[0]) >= 40) == (8, 1, True)
    assert [file.name for file in home.iterdir()] == ["session.secret"]
    assert stat.S_IMODE((home / "session.secret").stat().st_mode) == 0o600


def test_pages_send_strangers_to_the_door(doors: Locked) -> None:
    """And remember where they were going; who is signed in goes straight in; the door itself is open."""
    stranger = doors.caller()
    answer = stranger.get("/", params={"q": "a dog", "image": "3"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2F%3Fq%3Da%2Bdog%26image%3D3",
    )
    assert stranger.get("/login").status_code == stranger.get("/static/page/login.js").status_code == 200
    assert doors.browser("search").get("/").status_code == 200
