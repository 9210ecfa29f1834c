"""A newcomer's first minutes: an empty library, pictures added, one file that is none."""

import httpx
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Arrival, NewPage


def test_the_empty_library_says_how_to_begin(arrival: Arrival) -> None:
    """Before anything is there, the page says so instead of showing nothing."""
    assert arrival.empty == "No pictures yet"


def test_a_file_that_is_no_picture_is_refused_with_the_reason(arrival: Arrival) -> None:
    """The others are added all the same."""
    assert "conftest.py" in arrival.refused
    assert "it is text" in arrival.refused


def test_what_was_added_can_be_found(arrival: Arrival, address: str) -> None:
    """The page shows as many pictures as the server holds."""
    held = httpx.get(f"{address}/v1/stats").json()["images"]["indexed"]
    assert arrival.pictures == held
    assert arrival.told == f"{held} pictures"


def test_a_silent_server_is_told_with_a_way_on(page: Page) -> None:
    """When the server goes away and comes back, so does the page."""
    page.route("**/v1/search", lambda route: route.abort())
    page.locator("#text").fill("a dog")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_hidden()
    expect(page.locator("#results .card").first).to_be_visible()


def test_a_picture_that_is_gone_says_so(new_page: NewPage) -> None:
    """An old link to a removed picture opens on words, and closes on the library."""
    page = new_page("/?image=999999999")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Not found")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#results .card").first).to_be_visible()


def test_what_does_not_work_is_said_in_one_quiet_line(page: Page) -> None:
    """A part that is missing is told beside the pictures, which stay; all is well: nothing is said."""
    expect(page.locator("#degraded")).to_be_hidden()

    def without_workers(route: Route) -> None:
        answer = route.fetch()
        told = {"part": "workers", "detail": "No worker is running; new pictures wait until one is."}
        route.fulfill(response=answer, json={**answer.json(), "degraded": [told]})

    page.route("**/v1/search", without_workers)
    page.reload()
    expect(page.locator("#degraded")).to_have_text("No worker is running; new pictures wait until one is.")
    expect(page.locator("#results .card").first).to_be_visible()


def test_what_could_not_be_fetched_is_told(page: Page, address: str) -> None:
    """A program's address that leads nowhere: the page says which and why, whoever asked for it."""
    items = [{"url": "http://localhost/picture.jpg"}]
    told = httpx.post(f"{address}/v1/images/urls", json={"items": items}).json()
    assert told["counts"] == {"fetching": 1}
    line = page.locator("#uploads li.refused", has_text="picture.jpg")
    expect(line).to_contain_text("this machine itself", timeout=60_000)
