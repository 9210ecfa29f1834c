"""Searching by pictures: shown, composed with words, weighed, turned round, found again after a reload."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import settled


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
