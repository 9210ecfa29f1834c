"""A newcomer's first minutes: an empty library, pictures added, one file that is none."""

import time
from pathlib import Path

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


def refused_fetch(address: str, name: str) -> int:
    """A program's address that leads nowhere; the job it makes."""
    items = [{"url": f"http://localhost/{name}"}]
    told = httpx.post(f"{address}/v1/images/urls", json={"items": items}).json()
    assert told["counts"] == {"fetching": 1}
    return int(told["job_id"])


def test_what_could_not_be_fetched_is_told(page: Page, address: str) -> None:
    """The page says which and why, whoever asked for it."""
    refused_fetch(address, "picture.jpg")
    line = page.locator("#uploads li.refused", has_text="picture.jpg")
    expect(line).to_contain_text("this machine itself", timeout=60_000)


def test_what_failed_while_the_page_opened_is_told_and_older_failures_are_not(
    page: Page, address: str
) -> None:
    """However late the page first hears of jobs: what counts is when they were asked for."""
    older = refused_fetch(address, "older.jpg")
    wait_until_done(address, older)
    time.sleep(2)  # on a busy machine the page hears late, and takes itself to be that much older

    def late(route: Route) -> None:
        wait_until_done(address, refused_fetch(address, "meanwhile.jpg"))
        route.continue_()

    page.route("**/v1/jobs?*", late, times=1)
    page.reload()
    expect(page.locator("#uploads li.refused")).to_have_count(1)
    expect(page.locator("#uploads li.refused")).to_contain_text("meanwhile.jpg")


def wait_until_done(address: str, job: int) -> None:
    """Ask until nothing of a job is left to wait for."""
    deadline = time.monotonic() + 60
    while not httpx.get(f"{address}/v1/jobs/{job}").json()["done"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_table_is_told_where_it_is_taken(page: Page, tmp_path: Path) -> None:
    """Not as a picture that should be converted."""
    (tmp_path / "shop.csv").write_text("url,sku\nhttps://shop.example/1.jpg,A-1\n")
    page.locator("#pick-uploads").set_input_files(tmp_path / "shop.csv")
    refused = page.locator("#uploads li.refused")
    expect(refused).to_contain_text("A table is no picture.")
    expect(refused.locator("code")).to_have_text("sightline import FILE")


def test_removing_says_that_a_file_stays(new_page: NewPage) -> None:
    """And how it comes back; nothing is removed here."""
    page = new_page("/?image=1")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Tags")).to_be_visible()

    def from_a_folder(route: Route) -> None:
        if route.request.method == "DELETE":
            return route.fulfill(status=204)
        answer = route.fetch()
        told = answer.json()
        return route.fulfill(
            response=answer, json={**told, "sources": [{**told["sources"][0], "kind": "path"}]}
        )

    page.route("**/v1/images/1", from_a_folder)
    page.reload()
    dialog.get_by_role("button", name="Remove from the library").click()
    dialog.get_by_role("button", name="Remove; the file stays").click()
    expect(page.locator("#toast")).to_contain_text(
        "The file stays; indexing its folder again brings it back."
    )
