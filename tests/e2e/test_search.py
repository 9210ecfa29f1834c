"""Searching by words and conditions: the box, what it suggests, the chips, slips, what is held back."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Arrival, NewPage


def test_words_rank_and_the_address_says_so(page: Page) -> None:
    """What stands out comes first, what does not is counted and can be shown."""
    page.locator("#text").fill("a dog")
    expect(page).to_have_url(re.compile(r"\?q=a\+dog$"))
    expect(page.locator("#order")).to_have_value("relevance")
    first = page.locator("#results .card").first
    expect(first.locator("a")).to_have_attribute("aria-label", re.compile(r"score \d"))
    expect(page).to_have_title("a dog · Sightline")


def test_what_the_cut_off_hides_is_counted_and_can_be_shown(new_page: NewPage, arrival: Arrival) -> None:
    """Shown and hidden together are all; the switch is part of the address."""
    page = new_page("/?q=a+dog")
    expect(page.locator("#hidden")).to_contain_text("do not stand out")
    shown = _number(page.locator("#summary").inner_text())
    assert shown + _number(page.locator("#hidden span").inner_text()) == arrival.pictures
    page.get_by_role("button", name="Show them").click()
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    expect(page).to_have_url(re.compile("all=1"))
    page.get_by_role("button", name="Hide it").click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{shown} picture"))


def test_what_is_shown_faintly_stays_in_another_order_and_under_a_condition(
    new_page: NewPage, common_tag: tuple[str, int], arrival: Arrival
) -> None:
    """The switch belongs to the words: other words are asked without it."""
    name, images = common_tag
    page = new_page("/?q=a+dog&all=1")
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    page.locator("#order").select_option("taken")
    expect(page).to_have_url(re.compile(r"order%3Ataken&all=1"))
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    facet = re.compile(rf"^{re.escape(name)}, [\d,]+ pictures$")
    page.locator("#facets").get_by_role("button", name=facet).click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    expect(page).to_have_url(re.compile("all=1"))
    page.locator("#text").fill("a cat")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=a\+cat$"))


def test_where_nothing_stands_out_the_nearest_are_shown_as_such(new_page: NewPage, arrival: Arrival) -> None:
    """No dead end, and no pretence: a few pictures under a heading that says what they are; all of them on request."""
    page = new_page("/?q=quantum+chromodynamics")
    expect(page.locator("#notice h2")).to_have_text("Nothing stands out")
    expect(page.locator("#results .card").first).to_be_visible()
    expect(page.locator("#summary")).to_have_text("")
    page.get_by_role("button", name="Show them all").click()
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    expect(page.locator("#notice h2")).to_have_count(0)


def test_tags_are_suggested_with_counts(page: Page, common_tag: tuple[str, int]) -> None:
    """The first letters of a tag offer it; choosing it makes a condition with as many pictures as promised."""
    name, images = common_tag
    box = page.locator("#text")
    box.press_sequentially(name[:3], delay=20)
    option = page.get_by_role("option").filter(has_text=re.compile(rf"^{re.escape(name)}{images:,} picture"))
    option.click()
    expect(box).to_have_value(re.compile("^tag:"))
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))


@pytest.fixture(scope="module")
def sku(address: str, photographs: list[Path]) -> str:
    """What the shop calls one of the pictures."""
    again = {"file": ("lamp.jpg", photographs[1].read_bytes())}
    told = httpx.post(f"{address}/v1/images", files=again, data={"sku": "Lamp 12/b"}).json()
    assert told["items"][0]["status"] == "known"
    return "Lamp 12/b"


@pytest.mark.parametrize("typed", ["lam", "sku:lam"])
def test_skus_are_suggested(page: Page, sku: str, typed: str) -> None:
    """As they begin, also where nobody said that it is one."""
    page.locator("#text").press_sequentially(typed, delay=20)
    page.get_by_role("option").filter(has_text=f"sku:{sku}1 picture").click()
    expect(page.locator("#text")).to_have_value(f'sku:"{sku}" ')
    expect(page.locator("#summary")).to_have_text("1 picture")


def test_a_sku_among_words_is_told(page: Page, sku: str) -> None:
    """Pasted into the box it is ranked by like any words; one press asks for what was meant."""
    page.locator("#text").fill(sku.lower())
    page.keyboard.press("Enter")
    expect(page.locator("#meant")).to_have_text(f"{sku} is a SKU.Show its picture")
    page.get_by_role("button", name="Show its picture").click()
    expect(page).to_have_url(re.compile(r"\?q=sku%3A%22Lamp\+12"))
    expect(page.locator("#summary")).to_have_text("1 picture")
    expect(page.locator("#meant")).to_be_hidden()


@pytest.fixture(scope="module")
def titled(address: str, photographs: list[Path]) -> str:
    """A title one of the pictures has, of words that look like nothing."""
    again = {"file": ("lamp.jpg", photographs[1].read_bytes())}
    title = "Qwertz, Lamp of Chromodynamics"
    told = httpx.post(f"{address}/v1/images", files=again, data={"title": title}).json()
    assert told["items"][0]["status"] == "known"
    return title


def test_titles_are_searched_by_their_words(page: Page, titled: str) -> None:
    """The key is offered as it is typed, and its chip says what is asked."""
    page.locator("#text").press_sequentially("tit", delay=20)
    page.get_by_role("option").filter(has_text="title:").click()
    page.locator("#text").press_sequentially('"lamp of chromo*"')
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("1 picture")
    expect(page.locator("#chips")).to_contain_text("title: lamp of chromo*")


def test_words_that_stand_in_titles_are_told(new_page: NewPage, titled: str) -> None:
    """Where nothing stands out by meaning, in whatever order they were typed; one press asks for them."""
    page = new_page("/?q=chromodynamics+qwertz")
    expect(page.locator("#notice h2")).to_have_text("Nothing stands out")
    expect(page.locator("#meant")).to_have_text("1 title has these words.Show its picture")
    page.get_by_role("button", name="Show its picture").click()
    expect(page.locator("#text")).to_have_value("title:chromodynamics title:qwertz")
    expect(page.locator("#summary")).to_have_text("1 picture")
    expect(page.locator("#meant")).to_be_hidden()


def test_keys_and_their_values_are_suggested(page: Page) -> None:
    """The language can be found out by typing."""
    box = page.locator("#text")
    box.press_sequentially("form", delay=20)
    page.get_by_role("option").filter(has_text="format:").click()
    page.get_by_role("option").filter(has_text="format:png").click()
    expect(box).to_have_value("format:png ")
    expect(page.get_by_role("heading", name="No picture passes this")).to_be_visible()
    page.get_by_role("button", name="Show all pictures").click()
    expect(page.locator("#results .card").first).to_be_visible()


def test_chips_mirror_the_text(new_page: NewPage, common_tag: tuple[str, int], arrival: Arrival) -> None:
    """A chip is turned round by a click, and taken out by its cross; back undoes it."""
    name, images = common_tag
    page = new_page("/?q=" + quote(f'tag:"{name}"'))
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    page.get_by_role("button", name=f"With {name}. Exclude it instead").click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{arrival.pictures - images} picture"))
    expect(page.locator("#text")).to_have_value(re.compile("^-tag:"))
    page.go_back()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    page.get_by_role("button", name=f"Remove {name}").click()
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")


def test_a_slip_is_underlined_where_it_is(page: Page) -> None:
    """The wrong key is marked, named, and put right by one click."""
    box = page.locator("#text")
    box.fill("a dog tagg:dog")
    page.keyboard.press("Enter")
    expect(page.locator("#mirror u")).to_have_text("tagg")
    expect(page.locator("#slip")).to_contain_text("tagg")
    expect(box).to_have_attribute("aria-invalid", "true")
    page.locator("#slip").get_by_role("button", name="Use tag", exact=True).click()
    expect(box).to_have_value("a dog tag:dog")
    expect(page.locator("#slip")).to_be_hidden()


def test_a_name_half_written_is_no_slip(page: Page, common_tag: tuple[str, int]) -> None:
    """While names are offered to choose from nothing is called wrong; what is left unfinished is told."""
    box, slip = page.locator("#text"), page.locator("#slip")
    box.fill("tag:")
    with page.expect_response(lambda response: response.status == 422):
        box.press_sequentially(common_tag[0][:-1], delay=20)
    expect(page.get_by_role("option").filter(has_text=common_tag[0]).first).to_be_visible()
    expect(slip).to_be_hidden()
    page.keyboard.press("Tab")
    expect(slip).to_contain_text("No tag is called")


def test_after_a_slip_the_answer_before_is_shown_as_such(new_page: NewPage) -> None:
    """Faint, named, and out of reach of whatever would be done with it; put right, or gone back from, it is live."""
    page = new_page("/?q=a+dog")
    box, still, pictures = page.locator("#text"), page.locator("#still"), page.locator("#results")
    expect(page.locator("#summary")).to_have_text(re.compile("picture"))
    shown = pictures.locator(".card").count()
    box.fill("tag:dgo")
    page.keyboard.press("Enter")
    expect(still).to_contain_text("Still showing “a dog”")
    expect(page).to_have_url(re.compile(r"\?q=tag%3Adgo$"))
    assert pictures.locator(".card").count() == shown
    expect(pictures).to_have_css("opacity", "0.4")
    for name in ("Select", "Export"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    expect(page.get_by_label("Order")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    expect(page.locator("#bulk")).to_be_hidden()
    for place in ("#results", "#facets"):
        assert page.locator(place).evaluate("place => place.inert")
    box.fill("")
    expect(still).to_be_hidden()
    expect(page.get_by_role("button", name="Export")).to_be_visible()
    assert not pictures.evaluate("place => place.inert")


def test_from_a_slip_there_is_a_way_back(new_page: NewPage, arrival: Arrival) -> None:
    """To the question whose answer is still shown, with what was asked to be shown of it; opened anew there is none."""
    page = new_page("/?q=a+dog&all=1")
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    for slip in ("tag:dgo", "tagg:dog"):
        page.locator("#text").fill(slip)
        page.keyboard.press("Enter")
        expect(page.locator("#slip")).to_contain_text(slip.removeprefix("tag:").removesuffix(":dog"))
        expect(page.locator("#still")).to_contain_text("Still showing “a dog”")
    page.get_by_role("button", name="Back to it").click()
    expect(page).to_have_url(re.compile(r"\?q=a\+dog&all=1$"))
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    expect(page.locator("#text")).to_be_focused()
    page = new_page("/?q=tag:dgo")
    expect(page.locator("#slip")).to_contain_text("dgo")
    expect(page.locator("#still")).to_be_hidden()
    expect(page.locator("#results .card")).to_have_count(0)


def test_an_unknown_tag_is_told_in_words_of_the_page(new_page: NewPage) -> None:
    """Where its tags are found, not a command for a terminal."""
    page = new_page("/?q=tag:zebrafinch")
    expect(page.locator("#slip")).to_contain_text("No tag is called “zebrafinch”.")
    expect(page.locator("#slip")).to_contain_text(
        "The search box lists tags as you type their first letters."
    )
    expect(page.locator("main")).not_to_contain_text("sightline tags")


def test_an_unknown_tag_offers_the_nearest(new_page: NewPage, common_tag: tuple[str, int]) -> None:
    """A misspelt tag does not silently find nothing."""
    name, images = common_tag
    page = new_page(f"/?q=tag:{quote(name + 'q')}")
    page.locator("#slip").get_by_role("button", name=f"Use {name}", exact=True).click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))


def test_another_order_is_part_of_the_text(page: Page) -> None:
    """Choosing an order writes it into the box; choosing the usual one takes it out."""
    page.locator("#order").select_option("taken_asc")
    expect(page.locator("#text")).to_have_value("order:taken_asc")
    expect(page.locator("#results .card").first).to_be_visible()
    page.locator("#order").select_option("added")
    expect(page.locator("#text")).to_have_value("")


def _number(text: str) -> int:
    found = re.search(r"[\d,]+", text)
    assert found, text
    return int(found[0].replace(",", ""))
