"""The door: signing in, staying in, being sent back to it, and what somebody's key does not open."""

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from indexer.catalog import api_keys, connection
from indexer.local_stack import Endpoints
from indexer.settings import Settings
from tests.conftest import own_database
from tests.e2e.conftest import DESKTOP, PHONE
from tests.search_api.live import served

Visit = Callable[..., Page]


class Doors:
    """A server whose library has keys."""

    def __init__(self, address: str, postgres_url: str) -> None:
        self.address = address
        self._sessions = connection.sessions(connection.connect(postgres_url))

    def key(self, *scopes: str) -> str:
        with self._sessions.begin() as session:
            return api_keys.create(session, f"key {len(api_keys.all_of_them(session))}", scopes)[1]

    def revoke_all(self) -> None:
        with self._sessions.begin() as session:
            for key in api_keys.all_of_them(session):
                api_keys.revoke(session, key.name)
            api_keys.create(session, f"another {len(api_keys.all_of_them(session))}", ["search"])


@pytest.fixture(scope="module")
def doors(stack: Endpoints, stack_settings: Settings, migrated_template: str) -> Iterator[Doors]:
    """A server over a catalogue of its own: the other tests' library needs no key."""
    with own_database(stack.postgres_url, migrated_template) as url:
        own = {"postgres_url": url, "redis_url": stack.redis_url, "milvus_url": stack.milvus_url}
        with served(Settings(home=stack_settings.home, **own)) as address:  # type: ignore[arg-type]
            found = Doors(address, url)
            found.key("admin")
            yield found


@pytest.fixture
def visit(browser: Browser, doors: Doors) -> Iterator[Visit]:
    """Opens an address in a browser of its own, in which no script fails and the policy stops nothing."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def make(path: str = "/", *, theme: str = "light", phone: bool = False) -> Page:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(doors.address + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def _enter(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#account")).to_be_visible()


def test_a_key_and_enter(visit: Visit, doors: Doors) -> None:
    """By keyboard alone, to where one was going; reloaded and opened again one is still in."""
    page = visit("/?q=format:png")
    expect(page).to_have_title("Sign in · Sightline")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.type(f" {doors.key('search', 'images.read')} ")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_visible()
    expect(page).to_have_url(f"{doors.address}/?q=format:png")
    page.reload()
    expect(page.locator("#account")).to_be_visible()
    again = page.context.new_page()
    again.goto(f"{doors.address}/login?next=%2F%3Fq%3Da")
    expect(again).to_have_url(f"{doors.address}/?q=a")


def test_a_wrong_key(visit: Visit) -> None:
    """Said in words, the key is kept to be mended, and typing takes the words away."""
    page = visit()
    field = page.get_by_label("Key", exact=True)
    field.fill("sightline_nothing")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This key opens nothing here.")
    expect(field).to_be_focused()
    assert field.input_value() == "sightline_nothing"
    page.get_by_role("button", name="Show the key").click()
    expect(field).to_have_attribute("type", "text")
    page.keyboard.type("x")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/login",
        "http://[",
    ],
)
def test_the_door_leads_inside_only(visit: Visit, doors: Doors, wanted: str) -> None:
    """A link to the door cannot send one on to another site, nor round in circles."""
    page = visit("/login?" + "next=" + wanted.replace("/", "%2F").replace("\\", "%5C"))
    _enter(page, doors.key("search"))
    assert page.url.removeprefix(doors.address) in ("/", "/login", "/evil.example", "/?")
    assert page.url.startswith(f"{doors.address}/")


def test_scripts_cannot_read_the_session(visit: Visit, doors: Doors) -> None:
    """Only the token against forged requests; the key is kept nowhere."""
    page = visit()
    key = doors.key("search")
    _enter(page, key)
    kept = page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert "sightline_csrf=" in kept
    assert "sightline_session" not in kept
    assert key not in kept


def test_signing_out(visit: Visit, doors: Doors) -> None:
    """The menu says who one is and what the key opens; afterwards the door is shut, also by going back."""
    page = visit()
    _enter(page, doors.key("search", "images.read", "tags.write"))
    page.get_by_role("button", name="Signed in").click()
    expect(page.locator("#account-menu")).to_contain_text(
        "It may search, see pictures and write tags, captions, collections and searches."
    )
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{doors.address}/login")
    page.goto(doors.address)
    expect(page).to_have_url(f"{doors.address}/login?next=%2F")


def test_nothing_is_offered_that_the_key_does_not_open(visit: Visit, doors: Doors) -> None:
    """A key that only searches sees no way to add; one that opens everything does."""
    page = visit()
    _enter(page, doors.key("search", "images.read"))
    expect(page.get_by_role("button", name="Add pictures")).to_have_count(0)
    other = visit()
    _enter(other, doors.key("admin"))
    expect(other.get_by_role("button", name="Add pictures").first).to_be_visible()


def test_pictures_a_key_may_not_see(visit: Visit, doors: Doors) -> None:
    """A key that only searches: that this is so is said, not that something is missing."""
    page = visit()
    image = {
        "width": 3,
        "height": 2,
        "thumbnail_url": "/v1/images/1/thumbnail",
        "caption": "a cup",
        "tags": [],
    }
    image |= {"id": 1, "state": "indexed", "title": None, "taken_at": None}
    hit = {"id": 1, "score": None, "channels": {}, "why": None, "image": image}

    def one_hit(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "hits": [hit], "total": {"value": 1, "relation": "eq"}})

    page.route("**/v1/search", one_hit)
    asked: list[Route] = []
    page.route("**/v1/session", lambda r: asked.append(r) if r.request.method == "GET" else r.continue_())
    page.get_by_label("Key", exact=True).fill(doors.key("search"))
    with page.expect_response("**/thumbnail"):
        page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    asked[0].continue_()  # what the key opens is told later than that the picture does not come
    expect(page.locator("#results .card")).to_contain_text("not for this key to see")


def test_a_key_revoked_meanwhile(visit: Visit, doors: Doors) -> None:
    """The page goes to the door, and keeps what was asked."""
    page = visit("/?q=format:png")
    _enter(page, doors.key("search"))
    doors.revoke_all()
    page.wait_for_timeout(2_200)
    page.locator("#text").fill("format:gif")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{doors.address}/login?next=%2F%3Fq%3Dformat%253Agif")


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_anybody_can_use_it(visit: Visit, doors: Doors, theme: str, phone: bool) -> None:
    """The door, the door after a wrong key, and the menu of who is in: axe-core finds nothing, nothing is too wide."""
    page = visit(theme=theme, phone=phone)
    _check(page)
    page.get_by_label("Key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    _check(page)
    _enter(page, doors.key("search"))
    page.get_by_role("button", name="Signed in").click()
    expect(page.locator("#account-menu")).to_be_in_viewport(ratio=1)
    _check(page)


def _check(page: Page) -> None:
    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
