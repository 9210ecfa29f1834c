"""Searching by pictures: shown, composed with words, weighed, turned round, found again after a reload."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NewPage, settled


def test_a_picture_and_words_make_one_question(page: Page, address: str, photographs: list[Path]) -> None:
    """A picture shown is found itself; words join it with a weight of their own; a reload keeps its thumbnail."""
    cat = next(path for path in photographs if path.name == "chelsea-0.jpg")
    page.locator("#pick-example").set_input_files(cat)
    expect(page.locator("#text")).to_have_value(re.compile(r"^like:e1\.[\w-]{6}…$"))
    expect(page.locator("#chips img")).to_be_visible()
    settled(page)
    nearest = page.locator("#results .card").first.get_attribute("data-id")
    assert httpx.get(f"{address}/v1/images/{nearest}").json()["sources"][0]["name"] == cat.name
    page.locator("#text").press("End")
    page.locator("#text").press_sequentially(" in snow")
    page.keyboard.press("Enter")
    expect(page.locator("#chips .chip")).to_have_count(2)
    page.get_by_role("button", name="Count it more: in snow").click()
    expect(page.locator("#text")).to_have_value(re.compile(r'text:"in snow"\^1\.5$'))
    page.get_by_role("button", name=re.compile("^Like your picture")).click()
    expect(page.locator("#text")).to_have_value(re.compile(r"^-like:e1\."))
    page.reload()
    expect(page.locator("#chips img")).to_be_visible()
    expect(page.locator("#chips .excluded")).to_contain_text("your picture")


def test_several_pictures_count_together(page: Page, photographs: list[Path]) -> None:
    """Two pictures make two terms; each reason says what it gave."""
    page.locator("#pick-example").set_input_files(photographs[:2])
    expect(page.locator("#chips .chip")).to_have_count(2)
    page.locator("#results .card a").first.click()
    expect(page.locator(".why dl").first.locator("dt")).to_have_count(2)


def test_more_like_this_and_less_like_that(page: Page) -> None:
    """A hit joins the question from the grid, by button and by key."""
    first = page.locator("#results .card").first
    shown = first.get_attribute("data-id")
    first.hover()
    first.get_by_role("button", name="More like this").click()
    expect(page.locator("#text")).to_have_value(f"like:{shown}")
    settled(page)
    expect(page.locator("#chips img")).to_be_visible()
    second = page.locator("#results .card").nth(1)
    unwanted = second.get_attribute("data-id")
    second.locator("a").focus()
    page.keyboard.press("n")
    expect(page.locator("#text")).to_have_value(f"like:{shown} -like:{unwanted}")


def test_more_like_a_picture_that_was_looked_up(new_page: NewPage) -> None:
    """What held the query to this one picture goes, since nothing else would pass it; other conditions stay."""
    page = new_page("/?q=id:1+width:>1")
    first = page.locator("#results .card").first
    first.hover()
    first.get_by_role("button", name="More like this").click()
    expect(page.locator("#text")).to_have_value("width:>1 like:1")
    expect(page.locator("#results .card").nth(1)).to_be_visible()
    asked = "sku:FA-1 tag:x -sku:B id:1..50 id:3,4 path:a/b.jpg path:holiday path:*.png red"
    left = page.evaluate(
        "async (q) => (await import('/static/query/edit.js')).unbound(q)",
        asked,
    )
    assert left == "tag:x -sku:B id:1..50 path:holiday path:*.png red"


def test_a_picture_held_to_itself_offers_to_let_go_of_that(new_page: NewPage) -> None:
    """There are no words to keep: the condition is named."""
    page = new_page("/?q=id:1+like:1")
    expect(page.get_by_role("heading", name="No picture passes this")).to_be_visible()
    expect(page.get_by_role("button", name="Keep only the words")).to_have_count(0)
    page.get_by_role("button", name="Without id:1").click()
    expect(page.locator("#text")).to_have_value("like:1")
    expect(page.locator("#results .card").first).to_be_visible()


def test_a_pasted_picture_is_searched_by(page: Page, photographs: list[Path]) -> None:
    """Pasting asks by the picture and offers to add it to the library instead."""
    page.evaluate(
        """async (bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "pasted.jpg", { type: "image/jpeg" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        list(photographs[0].read_bytes()),
    )
    expect(page.locator("#text")).to_have_value(re.compile(r"^like:e1\."))
    expect(page.locator("#toast").get_by_role("button", name="Add it to the library instead")).to_be_visible()
