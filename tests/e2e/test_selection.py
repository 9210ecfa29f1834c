"""Selected pictures: tagged and untagged together with undo, collected, used as examples."""

import re

import httpx
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Arrival


def _select(page: Page, first: int, last: int) -> None:
    page.locator("#results .card").nth(first).hover()
    page.locator("#results .card").nth(first).get_by_role("button", name=re.compile("^Select")).click()
    page.locator("#results .card").nth(last).locator("a").click(modifiers=["Shift"])
    expect(page.locator("#bulk-count")).to_have_text(f"{last - first + 1} selected")


def test_a_range_is_tagged_and_the_edit_undone(page: Page) -> None:
    """The tag is on every picture of the range; undo takes it off all of them."""
    _select(page, 1, 4)
    page.get_by_label("Tag to add or remove").fill("chosen together")
    page.locator("#bulk").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("“chosen together” is on 4 pictures.")
    page.locator("#text").fill('tag:"chosen together"')
    expect(page.locator("#summary")).to_have_text("4 pictures")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="No picture passes this")).to_be_visible()


def test_an_edit_is_taken_back_when_its_remark_is_gone(page: Page) -> None:
    """Past edits are listed, the newest first, each with how many pictures it changed; one click takes one back."""
    _select(page, 2, 4)
    page.get_by_label("Tag to add or remove").fill("a slip")
    page.locator("#bulk").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("“a slip” is on 3 pictures.")
    page.goto(page.url.split("?")[0] + "?q=tag:%22a+slip%22")
    expect(page.locator("#summary")).to_have_text("3 pictures")
    page.get_by_role("button", name="Past edits").click()
    newest = page.locator("#past-menu li").first
    expect(newest).to_contain_text(re.compile("added a slip3 pictures · .*[0-9]:[0-9]"))
    newest.get_by_role("button", name="Take back: added a slip").click()
    expect(page.get_by_role("heading", name="No picture passes this")).to_be_visible()
    expect(newest).to_contain_text("taken back")
    expect(newest.get_by_role("button")).to_have_count(0)


def test_past_edits_tell_what_was_done(page: Page, address: str) -> None:
    """Added, rejected, a word taken back; older ones follow below."""
    for number in range(30):
        httpx.post(f"{address}/v1/edits", json={"images": [1], "add": [f"older {number}"]})
    for change in ({"add": ["told"]}, {"remove": ["told"]}, {"clear": ["told"]}):
        httpx.post(f"{address}/v1/edits", json={"images": [1], **change})
    page.get_by_role("button", name="Past edits").click()
    names = page.locator("#past-menu .name")
    expect(names.nth(0)).to_have_text("your word taken back on told")
    expect(names.nth(1)).to_have_text("rejected told")
    expect(names.nth(2)).to_have_text("added told")
    expect(names).to_have_count(30)
    page.get_by_role("button", name="Older edits").click()
    expect(names.nth(32)).to_have_text("added older 0")


def test_several_tags_are_said_at_once(page: Page) -> None:
    """What reads as several tags in a table is several here too."""
    _select(page, 1, 2)
    page.get_by_label("Tag to add or remove").fill("rain, Snow;hail")
    page.locator("#bulk").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("“rain”, “Snow”, “hail” are on 2 pictures.")
    page.locator("#text").fill("tag:rain tag:snow tag:hail")
    expect(page.locator("#summary")).to_have_text("2 pictures")


def test_a_tag_is_taken_off_and_put_back(page: Page, common_tag: tuple[str, int]) -> None:
    """Taking a model's tag off hides the pictures from its search until undone; that they are selected is said."""
    name, images = common_tag
    page.locator("#text").fill(f'tag:"{name}"')
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    _select(page, 0, 1)
    page.get_by_label("Tag to add or remove").fill(name)
    page.locator("#bulk").get_by_role("button", name="Take off").click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images - 2} picture"))
    expect(page.locator("#bulk-count")).to_have_text("2 selected, 2 not shown")
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    expect(page.locator("#bulk-count")).to_have_text("2 selected")


def test_pictures_are_collected(page: Page) -> None:
    """A new collection is a condition and a facet."""
    _select(page, 0, 2)
    page.locator("#collect").click()
    page.get_by_label("Name of a new collection").fill("For the calendar")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("3 pictures in “For the calendar”.")
    page.locator("#facets").get_by_role("button", name="For the calendar, 3 pictures").click()
    expect(page.locator("#summary")).to_have_text("3 pictures")
    expect(page.locator("#text")).to_have_value('collection:"For the calendar"')


def test_a_remark_does_not_cover_the_collections(page: Page) -> None:
    """The menu opens above what was just said, and the remark is there again once it is shut."""
    _select(page, 0, 1)
    page.get_by_label("Tag to add or remove").fill("about to be collected")
    page.keyboard.press("Enter")
    undo = page.locator("#toast").get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    page.locator("#collect").click()
    page.get_by_label("Name of a new collection").click()
    page.keyboard.press("Escape")
    undo.click()
    expect(page.locator("#toast")).to_contain_text("Taken back")


def test_everything_found_is_selected_and_let_go(page: Page, arrival: Arrival) -> None:
    """All that is found, shown already or not, is selected by one click, and let go by another."""
    _select(page, 0, 1)
    page.get_by_role("button", name=f"Select all {arrival.pictures}").click()
    expect(page.locator("#bulk-count")).to_have_text(f"{arrival.pictures} selected")
    expect(page.locator("#select-all")).to_be_hidden()
    page.get_by_label("Tag to add or remove").fill("all of them")
    page.locator("#bulk").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#toast")).to_contain_text(f"“all of them” is on {arrival.pictures} pictures.")
    expect(page.locator("#bulk-count")).to_have_text(f"{arrival.pictures} selected")
    page.get_by_role("button", name="Let go of the selection").click()
    expect(page.locator("#bulk")).to_be_hidden()
    expect(page.locator("#results .picked")).to_have_count(0)


def test_more_than_can_be_selected_says_so(page: Page) -> None:
    """Ctrl+A takes what is shown; of how many, and what to do about the rest, stands beside it."""

    def many(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, json={**answer.json(), "total": {"value": total["value"], "relation": "eq"}}
        )

    total = {"value": 14_746}
    page.route("**/v1/search", many)
    page.reload()
    expect(page.locator("#summary")).to_have_text("14,746 pictures")
    page.locator("#text").blur()
    page.keyboard.press("Control+a")
    expect(page.locator("#bulk-count")).to_have_text(re.compile("^[89]0 of 14,746 selected$"))
    expect(page.locator("#bulk-bound")).to_have_text("At most 10,000 at once: narrow the search")
    total["value"] = 4_746
    page.reload()
    expect(page.locator("#summary")).to_have_text("4,746 pictures")
    page.locator("#text").blur()
    page.keyboard.press("Control+a")
    expect(page.locator("#bulk-count")).to_have_text(re.compile("^[89]0 of 4,746 selected$"))
    expect(page.locator("#bulk-bound")).to_be_hidden()
    expect(page.get_by_role("button", name="Select all 4,746")).to_be_visible()
