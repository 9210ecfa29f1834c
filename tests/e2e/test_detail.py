"""One picture: why it was found, who says what, where a tag was seen, and one's own word."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

import sightline
from tests.e2e.conftest import ARRIVAL_MS, NewPage

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


def _write(detail: Locator, text: str) -> Locator:
    detail.get_by_role("button", name=re.compile("Write a caption|Change your caption")).click()
    field = detail.get_by_role("textbox", name="Your caption")
    field.fill(text)
    return field


def test_a_caption_begun_outlives_all_else_one_does(detail: Locator) -> None:
    """A tag added, a word on a tag, other pictures: the field stays open with what is in it."""
    field = _write(detail, "not quite done")
    tag = detail.get_by_label("Add a tag")
    tag.fill("begun beside")
    tag.press("Enter")
    expect(detail.locator(".statements li").filter(has_text="begun beside")).to_contain_text("you")
    expect(field).to_have_value("not quite done")
    detail.locator(".statements li").last.get_by_role("button", name="No, it does not").click()
    expect(detail.locator(".statements .rejected")).to_have_count(1)
    expect(field).to_have_value("not quite done")
    detail.get_by_role("button", name="Next picture").click()
    expect(field).to_have_count(0)
    detail.get_by_role("button", name="Previous picture").click()
    expect(field).to_have_value("not quite done")
    detail.get_by_role("button", name="Discard").click()
    expect(field).to_have_count(0)
    detail.get_by_role("button", name="Take back your no").click()
    expect(detail.locator(".statements .rejected")).to_have_count(0)


def test_a_caption_begun_is_kept_when_one_leaves(detail: Locator) -> None:
    """Escape shuts the field and says what is in it; the next closes the picture, which opens again with it."""
    page = detail.page
    field = _write(detail, "to be gone on with")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(detail.locator(".begun")).to_contain_text("not saved yet")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page.locator("#toast")).to_contain_text("not saved yet")
    page.locator("#toast").get_by_role("button", name="Go on writing").click()
    expect(field).to_have_value("to be gone on with")
    page.reload()
    expect(field).to_have_value("to be gone on with")
    expect(detail.locator(".begun")).to_be_visible()
    detail.get_by_role("button", name="Discard").click()
    expect(detail.locator(".begun")).to_be_hidden()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    detail.get_by_role("button", name="Go on writing").click()
    expect(field).to_have_value("to be gone on with")
    detail.get_by_role("button", name="Discard").click()


def test_a_caption_of_ones_own_is_taken_back(new_page: NewPage, address: str) -> None:
    """The model's is shown first again; that can be undone, and nothing but white space is no caption."""
    image_id = httpx.post(f"{address}/v1/search", json={"q": "-has:alt_text"}).json()["hits"][0]["id"]
    page = new_page(f"/?image={image_id}")
    first = page.locator(".captions .caption").first
    machine = first.text_content() or ""
    dialog = page.get_by_role("dialog")
    _write(dialog, "something of mine").press("Control+Enter")
    expect(first).to_have_text("something of mine you")
    expect(page.locator(".begun")).to_be_hidden()
    page.get_by_role("button", name="Take back your caption").click()
    expect(first).to_have_text(machine)
    expect(page.get_by_role("button", name="Write a caption")).to_be_focused()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(first).to_have_text("something of mine you")
    _write(dialog, "  ").press("Control+Enter")
    expect(page.locator("#toast")).to_contain_text("needs words")
    page.get_by_role("button", name="Take back your caption").click()
    expect(first).to_have_text(machine)


def test_the_results_know_what_was_said_in_a_picture(new_page: NewPage, common_tag: tuple[str, int]) -> None:
    """Once it is closed: the total, the facet and the card. Taken back from outside, it is there again."""
    name, images = common_tag
    page = new_page(f'/?q=tag:"{name}"')
    summary, cards = page.locator("#summary"), page.locator("#results .card[data-id]")
    expect(summary).to_have_text(re.compile(rf"^{images} picture"))
    cards.nth(1).locator("a").click()
    dialog = page.get_by_role("dialog")
    opened = dialog.get_attribute("data-id")
    dialog.get_by_role("button", name=f"No, it does not: {name}", exact=True).click()
    expect(dialog.locator(".rejected")).to_contain_text(name)
    expect(summary).to_have_text(re.compile(rf"^{images} picture"))
    page.keyboard.press("Escape")
    expect(summary).to_have_text(re.compile(rf"^{images - 1} picture"))
    expect(page.locator(f'#results [data-id="{opened}"]')).to_have_count(0)
    expect(page.locator(f'#facets [data-focus="tag-{name}"] .count')).to_have_text(str(images - 1))
    expect(cards.nth(1).locator("a")).to_be_focused()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(summary).to_have_text(re.compile(rf"^{images} picture"))
    expect(page.locator(f'#results [data-id="{opened}"]')).to_be_visible()


def test_a_card_tells_the_reasons_of_now(new_page: NewPage, common_tag: tuple[str, int]) -> None:
    """A tag that was found by a model's word is a person's once one agrees: the card tells their certainty."""
    page = new_page(f'/?q=tag:"{common_tag[0]}"+order:added')
    matched = page.locator("#results .card").first.locator(".tags .matched")
    expect(matched).to_have_text(re.compile(r" \d\d\s%$"))
    page.locator("#results .card a").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=f"Yes, it shows this: {common_tag[0]}", exact=True).click()
    expect(
        dialog.get_by_role("button", name=f"Take back your yes: {common_tag[0]}", exact=True)
    ).to_be_visible()
    page.keyboard.press("Escape")
    expect(matched).to_have_text(re.compile(r" 100\s%$"))
    expect(page.locator("#results .card a").first).to_be_focused()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(matched).to_have_text(re.compile(r" \d\d\s%$"))


def test_tags_are_added_one_after_the_other(detail: Locator, address: str) -> None:
    """The field is ready for the next; Escape leaves it, and only the next key is the picture's."""
    page, opened = detail.page, detail.get_attribute("data-id")
    page.keyboard.press("t")
    for name in ("first of two", "second of two"):
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        expect(detail.locator(".statements li").filter(has_text=name)).to_contain_text("you")
    expect(detail.get_by_label("Add a tag")).to_be_focused()
    page.keyboard.type("half a wo")
    page.keyboard.press("Escape")
    expect(detail).to_be_visible()
    expect(detail.get_by_label("Add a tag")).to_have_value("half a wo")
    page.keyboard.press("ArrowRight")
    expect(detail).not_to_have_attribute("data-id", str(opened))
    expect(detail.get_by_label("Add a tag")).to_have_value("")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    for name in ("first of two", "second of two"):
        httpx.delete(f"{address}/v1/images/{opened}/statements/{name}").raise_for_status()


def test_its_collections_lead_to_what_they_hold(new_page: NewPage, address: str) -> None:
    """Named among its facts, each a link that searches it."""
    ids = [hit["id"] for hit in httpx.post(f"{address}/v1/search", json={"q": ""}).json()["hits"][:2]]
    made = httpx.post(f"{address}/v1/collections", json={"name": "Seen, in facts"}).json()
    httpx.post(f"{address}/v1/collections/{made['id']}/images", json={"images": ids})
    page = new_page(f"/?image={ids[0]}")
    page.locator(".facts").get_by_role("link", name="Seen, in facts").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#text")).to_have_value('collection:"Seen, in facts"')
    expect(page.locator("#summary")).to_have_text("2 pictures")
    httpx.delete(f"{address}/v1/collections/{made['id']}")


def test_after_a_removal_the_next_picture_is_shown(
    new_page: NewPage, address: str, photographs: list[Path]
) -> None:
    """The last leads back to the one before, and the only one to the results, which know of it."""
    files = [("file", (f"gone-{n}.jpg", photographs[n].read_bytes() + b"gone")) for n in range(3)]
    told = httpx.post(f"{address}/v1/images", files=files, timeout=60).json()
    with sightline.Client(address) as api:
        api.wait(told["job_id"], timeout_s=ARRIVAL_MS / 1000)
        for item in told["items"]:
            api.add_tag(item["image_id"], "soon gone")
    page = new_page("/?q=tag:%22soon+gone%22+order:added_asc")
    first, second, third = (item["image_id"] for item in told["items"])
    expect(page.locator("#summary")).to_have_text("3 pictures")
    page.locator(f'#results [data-id="{second}"] a').click()
    dialog = page.get_by_role("dialog")
    for shown, then in ((second, third), (third, first)):
        expect(dialog.locator(".facts")).to_contain_text(f"id:{shown} ")
        _remove(dialog)
        expect(dialog).to_have_attribute("data-id", str(then))
    expect(dialog.locator(".facts")).to_contain_text(f"id:{first} ")
    expect(page.locator("#toast")).to_have_text("Removed from the library.")
    _remove(dialog)
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("heading", name="No picture passes this")).to_be_visible()


def _remove(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Remove from the library").click()
    dialog.get_by_role("button", name="Remove for good").click()


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
