"""One picture: why it was found, who says what, where a tag was seen, and one's own word."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import NewPage

PAINTED = """canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let warmest = 0, coolest = 255;
  for (let at = 3; at < data.length; at += 4) {
    warmest = Math.max(warmest, data[at]);
    coolest = Math.min(coolest, data[at]);
  }
  return [coolest, warmest];
}"""


@pytest.fixture
def detail(new_page: NewPage) -> Locator:
    """The first hit for "a dog", open."""
    page = new_page("/?q=a+dog")
    page.locator("#results .card a").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Why it was found")).to_be_visible()
    return dialog


def test_a_hit_is_explained(detail: Locator) -> None:
    """Channels with their part and standing, the caption's words, and the plan on demand."""
    rows = detail.locator(".why dl").last.locator("dt")
    assert {"the picture", "its caption"} <= set(rows.all_inner_texts())
    expect(detail.locator(".why dd").first).to_contain_text(re.compile(r"[+−]\d"))
    expect(detail.locator(".why .note").first).to_contain_text("usual")
    expect(detail.locator(".captions mark").first).to_have_text(re.compile("dog"))
    detail.get_by_text("How it was searched").click()
    expect(detail.locator(".plan table").first).to_be_visible()


def test_the_cut_off_is_told(detail: Locator, address: str, new_page: NewPage) -> None:
    """Beside the score, and with how it was searched; of a picture below it, that it would take more."""
    found = httpx.post(f"{address}/v1/search", json={"q": "a dog", "all": True, "limit": 500}).json()
    cutoff = f"{found['cutoff']:.2f}"
    said = re.compile(rf"score \d+\.\d\d, shown from {re.escape(cutoff)}$")
    expect(detail.locator(".why h3 .says")).to_have_text(said)
    detail.get_by_text("How it was searched").click()
    expect(detail.locator(".plan")).to_contain_text(f"Cut-off {cutoff}:")
    page = new_page(f"/?q=a+dog&image={found['hits'][-1]['id']}")
    expect(page.locator(".why h3 .says")).to_have_text(
        re.compile(f", would stand out from {re.escape(cutoff)}$")
    )


def test_a_tag_shows_where_it_was_seen(detail: Locator) -> None:
    """Hovering a tag draws a map that is warm somewhere and not everywhere, and says that it is coarse."""
    detail.locator(".statements li").first.hover()
    expect(detail.locator(".legend")).to_contain_text("Coarse")
    expect(detail.locator("canvas.heat")).to_have_class(re.compile("here"))
    coolest, warmest = detail.locator("canvas.heat").evaluate(PAINTED)
    assert warmest > 150 > 60 > coolest
    detail.locator("header").hover()
    expect(detail.locator("canvas.heat")).not_to_have_class(re.compile("here"))


def test_a_tag_is_added_and_taken_back(detail: Locator) -> None:
    """One's own word stands beside the model's, signed, and goes by one click."""
    detail.get_by_role("textbox", name="Add a tag").or_(
        detail.get_by_role("combobox", name="Add a tag")
    ).fill("Seen In A Browser")
    detail.page.keyboard.press("Enter")
    row = detail.locator(".statements li").filter(has_text="seen in a browser")
    expect(row).to_contain_text("you")
    detail.page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(row).to_have_count(0)


def test_a_wrong_tag_is_rejected_and_accepted_again(detail: Locator) -> None:
    """A no strikes the tag out and says whose no it is; pressing it again takes it back."""
    row = detail.locator(".statements li").first
    name = row.locator(".tag").inner_text()
    row.get_by_role("button", name=f"No, it does not: {name}").click()
    struck = detail.locator(".statements li.rejected")
    expect(struck).to_contain_text(name)
    expect(struck).to_contain_text("not here, says")
    struck.get_by_role("button", name=f"Take back your no: {name}").click()
    expect(detail.locator(".statements li.rejected")).to_have_count(0)


def test_a_word_on_a_tag_moves_no_other(detail: Locator) -> None:
    """The next click lands on the tag it was aimed at."""
    rows = detail.locator(".statements li")
    names = rows.locator(".tag").all_inner_texts()
    places = [row.bounding_box() for row in rows.all()]
    last = rows.last
    last.get_by_role("button", name="No, it does not").click()
    expect(last).to_contain_text("not here, says")
    rows.first.get_by_role("button", name="Yes, it shows this").click()
    expect(rows.first).to_contain_text("you")
    assert rows.locator(".tag").all_inner_texts() == names
    assert [row.bounding_box() for row in rows.all()] == places
    last.get_by_role("button", name="Take back your no").click()
    rows.first.get_by_role("button", name="Take back your yes").click()
    expect(detail.locator(".statements .human")).to_have_count(0)


def test_the_number_is_told(detail: Locator) -> None:
    """By which queries ask for a picture, and for what is like it."""
    number = detail.get_attribute("data-id")
    expect(detail.locator(".facts")).to_contain_text(f"id:{number}")


def test_its_sku_is_told(new_page: NewPage, address: str, photographs: list[Path]) -> None:
    """What the shop calls it, also where it came to have the name later."""
    again = {"file": ("mug.jpg", photographs[0].read_bytes())}
    told = httpx.post(f"{address}/v1/images", files=again, data={"sku": "Mug-7"}).json()
    assert told["items"][0]["status"] == "known"
    page = new_page(f"/?image={told['items'][0]['image_id']}")
    expect(page.locator(".facts")).to_contain_text("SKUMug-7")


def test_a_caption_of_ones_own_is_shown_first_and_found(detail: Locator) -> None:
    """It is signed, comes before the model's, and is searched at once."""
    detail.get_by_role("button", name="Write a caption").click()
    detail.get_by_role("textbox", name="Your caption").fill("a girl is eating a green apple")
    detail.get_by_role("button", name="Save").click()
    expect(detail.locator(".captions .caption").first).to_contain_text("a girl is eating a green apple you")
    opened = detail.get_attribute("data-id")
    detail.page.keyboard.press("Escape")
    detail.page.locator("#text").fill(f"a green apple id:{opened}")
    detail.page.locator("#text").press("Enter")
    expect(detail.page.locator("#results .card mark").first).to_have_text("green")


def test_walking_from_picture_to_picture(new_page: NewPage) -> None:
    """Next and previous change the address without filling the history."""
    page: Page = new_page()
    page.locator("#results .card a").first.click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Tags")).to_be_visible()
    opened = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(opened)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(opened)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator("#results .card").nth(1).locator("a")).to_be_focused()
