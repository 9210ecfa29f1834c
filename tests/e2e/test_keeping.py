"""What one takes along: the whole result as a file, and searches kept by name."""

import csv
import io
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
from playwright.sync_api import Page, expect

from indexer.search.export import COLUMNS
from tests.e2e.conftest import Arrival, NewPage


def _export(page: Page, name: str) -> Path:
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.locator("#export-menu").get_by_role("link", name=name).click()
    return Path(download.value.path())


def test_the_whole_result_is_exported(new_page: NewPage, common_tag: tuple[str, int]) -> None:
    """Each format holds every picture found, not only those shown."""
    name, images = common_tag
    page = new_page(f'/?q=tag:"{name}"')
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    rows = list(csv.DictReader(io.StringIO(_export(page, "CSV").read_text())))
    lines = [json.loads(line) for line in _export(page, "JSON Lines").read_text().splitlines()]
    table = pq.read_table(_export(page, "Parquet"))
    assert len(rows) == len(lines) == table.num_rows == images
    assert {int(row["id"]) for row in rows} == {line["id"] for line in lines} == set(table["id"].to_pylist())


def test_the_file_is_called_after_what_was_asked(new_page: NewPage) -> None:
    """And the day: the next one does not take its place."""
    page = new_page("/?q=width:>1 a dog")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.locator("#export-menu").get_by_role("link", name="CSV").click()
    assert re.fullmatch(r"sightline-width-1-a-dog-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)


def test_only_the_wanted_fields_are_exported(new_page: NewPage) -> None:
    """Each field there is can be left out, and stays so when the page is opened again."""
    page = new_page()
    page.get_by_role("button", name="Export").click()
    page.get_by_text("All fields").click()
    boxes = page.locator("#export-menu .fields label")
    assert boxes.all_inner_texts() == list(COLUMNS)
    for name in ("sku", "score", "as_exported"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    expect(page.get_by_text(f"{len(COLUMNS) - 3} of {len(COLUMNS)} fields")).to_be_visible()
    page.reload()
    (first, *_) = csv.reader(io.StringIO(_export(page, "CSV").read_text()))
    assert first == [name for name in COLUMNS if name not in ("sku", "score", "as_exported")]


def test_a_search_is_saved_counted_asked_again_and_forgotten(
    new_page: NewPage, common_tag: tuple[str, int]
) -> None:
    """A saved search stands in the menu with what it finds now, and can be forgotten and brought back."""
    name, images = common_tag
    page = new_page(f'/?q=tag:"{name}"')
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    page.get_by_role("button", name="Saved searches").click()
    page.get_by_label("Name of this search").fill("My favourite")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("Saved as “My favourite”.")
    page.locator("#clear").click()
    page.get_by_role("button", name="Saved searches").click()
    entry = page.locator("#saved-menu li").filter(has_text="My favourite")
    expect(entry).to_contain_text(f"{images}")
    entry.get_by_role("button").first.click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    page.get_by_role("button", name="Saved searches").click()
    page.get_by_role("button", name="Forget My favourite").click()
    expect(entry).to_have_count(0)


def test_a_saved_search_shows_what_it_counts(new_page: NewPage, arrival: Arrival) -> None:
    """It finds what stands out, also if it was saved, or is asked, while all the rest is shown."""
    page = new_page("/?q=a+dog&all=1")
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")
    page.get_by_role("button", name="Saved searches").click()
    expect(page.locator("#saved-menu")).to_contain_text("finds what stands out, without the rest")
    page.get_by_label("Name of this search").fill("Dogs")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("Saved as “Dogs”.")
    page.get_by_role("button", name="Saved searches").click()
    entry = page.locator("#saved-menu li").filter(has_text="Dogs")
    counted = entry.locator(".count").inner_text()
    assert int(counted) < arrival.pictures
    entry.get_by_role("button").first.click()
    expect(page).to_have_url(re.compile(r"\?q=a\+dog$"))
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{counted} picture"))
    page.get_by_role("button", name="Saved searches").click()
    expect(entry).to_be_visible()
    expect(page.locator("#saved-menu")).not_to_contain_text("finds what stands out")
    page.get_by_role("button", name="Forget Dogs").click()
    expect(entry).to_have_count(0)
