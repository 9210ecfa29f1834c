"""The grid: rows that fill the width, more by itself, and the same place on return."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Arrival, NewPage

BOXES = """() => [...document.querySelectorAll('#results .card[data-id]')].map((card) => {
  const box = card.getBoundingClientRect();
  const image = card.querySelector('img');
  return [box.left, box.top, box.right, box.height, box.width / box.height, image.naturalWidth / image.naturalHeight];
})"""


def test_rows_fill_the_width_with_whole_pictures(page: Page) -> None:
    """Pictures of a row are equally high, reach both edges, and keep their own shape."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('#results img')].slice(0, 8).every((image) => image.naturalWidth)"
    )
    width = page.locator("#results").bounding_box()
    assert width
    rows: dict[float, list[list[float]]] = {}
    for box in page.evaluate(BOXES):
        rows.setdefault(round(box[1]), []).append(box)
    for row in list(rows.values())[:2]:
        assert max(box[3] for box in row) - min(box[3] for box in row) < 1
        assert abs(max(box[2] for box in row) - (width["x"] + width["width"])) < 1
        assert all(abs(box[4] - box[5]) < 0.03 * box[5] for box in row)


def test_more_comes_by_itself_and_little_is_drawn(page: Page, arrival: Arrival) -> None:
    """At the end of the page the last picture is there; far fewer are in the document than were found."""
    page.keyboard.press("Escape")
    page.locator("#results .card a").first.focus()
    page.keyboard.press("End")
    expect(page.locator("#results .card:focus-within")).to_have_attribute(
        "aria-posinset", str(arrival.pictures)
    )
    assert page.locator("#results .card").count() < arrival.pictures


def test_back_from_a_picture_and_a_reload_keep_the_place(page: Page) -> None:
    """Opened far down, closed, reloaded, and gone back to: always the same pictures in sight."""
    page.evaluate("scrollTo(0, 1500)")
    here = page.locator("#results .card").nth(8)
    expect(here).to_be_visible()
    page.wait_for_function("() => history.state?.place?.y === 1500")
    opened = page.evaluate("() => document.elementFromPoint(700, 400).closest('.card').dataset.id")
    page.locator(f'.card[data-id="{opened}"] a').click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert abs(page.evaluate("scrollY") - 1500) < 3
    page.reload()
    page.wait_for_function("() => Math.abs(scrollY - 1500) < 3")
    page.locator("#text").fill("a dog")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=a\+dog"))
    page.wait_for_function("() => scrollY === 0")
    page.go_back()
    page.wait_for_function("() => Math.abs(scrollY - 1500) < 3")
    expect(page.locator(f'.card[data-id="{opened}"]')).to_be_visible()


def test_a_link_to_a_picture_opens_it_over_its_result(new_page: NewPage, page: Page) -> None:
    """The address of an open picture is enough to open it elsewhere."""
    page.locator("#results .card a").nth(2).click()
    expect(page).to_have_url(re.compile("image="))
    other = new_page("/" + page.url.split("/", 3)[3])
    expect(other.get_by_role("dialog").get_by_role("heading", name="Tags")).to_be_visible()
    other.keyboard.press("Escape")
    expect(other.locator("#results .card").first).to_be_visible()
