"""axe-core finds nothing on any screen, in light and dark."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NewPage


def _suggest(page: Page) -> None:
    page.locator("#text").press_sequentially("fo", delay=20)
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowDown")


def _slip(page: Page) -> None:
    expect(page.locator("#results .card").first).to_be_visible()
    page.locator("#text").fill("tag:dgo")
    page.keyboard.press("Enter")
    expect(page.locator("#still")).to_be_visible()


def _detail(page: Page) -> None:
    page.locator("#results .card a").first.click()
    page.get_by_text("How it was searched").click()
    expect(page.locator(".plan table").first).to_be_visible()
    page.locator(".statements li").first.hover()
    expect(page.locator(".legend")).to_contain_text("Coarse")


def _select(page: Page) -> None:
    page.locator("#results .card").first.hover()
    page.locator("#results .pick").first.click()
    page.locator("#collect").click()


def _help(page: Page) -> None:
    page.get_by_role("button", name="Help").click()


def _drawer(page: Page) -> None:
    page.get_by_role("button", name="Narrow").tap()


def _open_by_touch(page: Page) -> None:
    page.locator("#results .card a").first.tap()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Tags")).to_be_visible()


Screen = tuple[str, Callable[[Page], None] | None, bool]
SCREENS: dict[str, Screen] = {
    "library": ("/", None, False),
    "search": (
        "/?q=a+dog+like:1^0.5+-tag:snow",
        lambda page: page.locator("#results .card").first.hover(),
        False,
    ),
    "suggestions": ("/", _suggest, False),
    "slip": ("/?q=tagg:dog", None, False),
    "after a slip": ("/?q=a+dog", _slip, False),
    "after a slip on a phone": ("/?q=a+dog", _slip, True),
    "nothing": ("/?q=format:png", None, False),
    "detail": ("/?q=a+dog+like:1", _detail, False),
    "selection": ("/", _select, False),
    "past": ("/", lambda page: page.get_by_role("button", name="Past edits").click(), False),
    "saved": ("/?q=a+dog", lambda page: page.get_by_role("button", name="Saved searches").click(), False),
    "export": ("/", lambda page: page.get_by_role("button", name="Export").click(), False),
    "help": ("/", _help, False),
    "phone": ("/?q=a+dog+-tag:snow", None, True),
    "drawer": ("/", _drawer, True),
    "detail on a phone": ("/?q=a+dog", _open_by_touch, True),
    "api": ("/docs", None, False),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_violation(new_page: NewPage, screen: str, theme: str) -> None:
    """Names, roles, contrast, order: no rule of axe-core is broken."""
    path, act, phone = SCREENS[screen]
    page = new_page(path, theme=theme, phone=phone)
    expect(page.locator("#results .card, .state, .docs h1").first).to_be_visible()
    if act:
        act(page)
    found = Axe().run(page).response["violations"]
    assert [_told(violation) for violation in found] == []


def _told(violation: dict) -> str:
    nodes = "; ".join(f"{node['html'][:120]} {node['failureSummary']}" for node in violation["nodes"])
    return f"{violation['impact']} {violation['id']}: {nodes}"
