"""The page at a phone's width, by touch."""

from playwright.sync_api import expect

from tests.e2e.conftest import NewPage


def test_nothing_is_wider_than_the_phone(new_page: NewPage) -> None:
    """Neither the grid nor a picture nor the selection's bar makes the page scroll sideways."""
    page = new_page("/?q=a+dog+like:1", phone=True)
    wide = "() => document.documentElement.scrollWidth - innerWidth"
    expect(page.locator("#results .card").first).to_be_visible()
    assert page.evaluate(wide) <= 0
    page.get_by_role("button", name="Select", exact=True).tap()
    page.locator("#results .card a").first.tap()
    expect(page.locator("#bulk-count")).to_have_text("1 selected")
    bar = page.locator("#bulk")
    assert bar.evaluate("bar => bar.scrollWidth - bar.clientWidth") <= 0
    page.get_by_role("button", name="Let go of the selection").tap()
    page.locator("#results .card a").first.tap()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Tags")).to_be_visible()
    assert page.locator("#detail").evaluate("detail => detail.scrollWidth - detail.clientWidth") <= 0


def test_a_picture_is_opened_and_left_by_touch(new_page: NewPage) -> None:
    """The picture stays in sight while one reads on, and shows where a tag was seen."""
    page = new_page(phone=True)
    page.locator("#results .card a").first.tap()
    dialog = page.get_by_role("dialog")
    where = dialog.get_by_role("button", name="Where it was seen").first
    where.tap()
    expect(dialog.locator(".legend")).to_contain_text("Coarse")
    expect(dialog.locator("canvas.heat")).to_be_in_viewport()
    dialog.get_by_role("button", name="Close").tap()
    expect(dialog).to_be_hidden()


def test_pictures_are_collected_by_touch(new_page: NewPage) -> None:
    """The list of collections is in sight."""
    page = new_page(phone=True)
    page.get_by_role("button", name="Select", exact=True).tap()
    page.locator("#results .card a").first.tap()
    page.get_by_role("button", name="Collect").tap()
    name = page.get_by_label("Name of a new collection")
    expect(name).to_be_in_viewport()
    name.fill("From the pocket")
    page.get_by_role("button", name="Create").tap()
    expect(page.locator("#toast")).to_contain_text("1 picture in “From the pocket”.")
