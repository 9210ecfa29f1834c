"""Everything by keyboard alone."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import settled


def test_search_walk_select_tag_and_open_without_a_mouse(page: Page) -> None:
    """From the box to the grid, along it, a selection, a tag on it, a picture, and back to the box."""
    page.locator("#text").blur()
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("a dog")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=a\+dog"))
    expect(page.locator("#order")).to_have_value("relevance")
    settled(page)
    page.keyboard.press("ArrowDown")
    cards = page.locator("#results .card")
    expect(cards.first.locator("a")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cards.nth(1).locator("a")).to_be_focused()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#bulk-count")).to_have_text("2 selected")
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Tags")).to_be_visible()
    page.keyboard.press("t")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(dialog.locator(".statements")).to_contain_text("by keyboard")
    page.keyboard.press("Escape")  # out of the field, for the picture's keys
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(cards.nth(2).locator("a")).to_be_focused()


def test_arrows_go_to_the_row_below_and_back(page: Page) -> None:
    """Down and up move by rows, to the picture that stands nearest."""
    page.locator("#results .card a").first.focus()
    page.keyboard.press("ArrowDown")
    below = page.locator("#results .card:focus-within")
    top = page.locator("#results .card").first.bounding_box()
    box = below.bounding_box()
    assert top
    assert box
    assert box["y"] > top["y"] + top["height"] - 2
    page.keyboard.press("ArrowUp")
    expect(page.locator("#results .card").first.locator("a")).to_be_focused()


def test_suggestions_are_chosen_by_arrows(page: Page, common_tag: tuple[str, int]) -> None:
    """Down and Enter take the first suggestion; Escape leaves what was written."""
    name, _ = common_tag
    box = page.locator("#text")
    box.press_sequentially(f"-{name[:3]}", delay=20)
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", "option-0")
    page.keyboard.press("Enter")
    expect(box).to_have_value(re.compile("^-tag:"))
    box.press_sequentially("form", delay=20)
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    expect(box).to_have_value(re.compile("form$"))


def test_shortcuts_work_from_the_empty_box(page: Page) -> None:
    """It has the focus from the start: whoever presses / out of habit writes no slash, and ? opens the help."""
    box = page.locator("#text")
    box.focus()
    page.keyboard.press("/")
    page.keyboard.type("what? 1/2")
    expect(box).to_have_value("what? 1/2")
    box.fill("")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()


def test_help_lists_the_keys_and_the_language(page: Page) -> None:
    """A question mark opens the help; its examples can be tried; Escape closes it."""
    page.locator("#text").blur()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Help")
    expect(dialog).to_contain_text("go to the search box")
    expect(dialog).to_contain_text("taken:2024")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("f")
    expect(page.locator("#facets button").first).to_be_focused()
