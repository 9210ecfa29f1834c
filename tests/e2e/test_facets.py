"""The rail of facets: include, exclude, choose another, never lead to nothing."""

import re

from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Arrival, NewPage


def _value(page: Page, name: str) -> Locator:
    return page.locator("#facets").get_by_role(
        "button", name=re.compile(rf"^{re.escape(name)}, [\d,]+ pictures$")
    )


def test_a_value_includes_and_its_minus_excludes(
    page: Page, common_tag: tuple[str, int], arrival: Arrival
) -> None:
    """The count promised is the count got, both ways."""
    name, images = common_tag
    _value(page, name).click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    expect(_value(page, name)).to_have_attribute("aria-pressed", "true")
    page.locator("#facets").get_by_role("button", name=f"Without {name}", exact=True).click()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{arrival.pictures - images} picture"))
    expect(page.locator("#facets li.exclude")).to_contain_text(name)
    page.locator("#facets").get_by_role("button", name=f"Without {name}", exact=True).click()
    expect(page.locator("#summary")).to_have_text(f"{arrival.pictures} pictures")


def test_alt_click_and_the_right_button_exclude(page: Page, common_tag: tuple[str, int]) -> None:
    """What people try first works too."""
    name, _ = common_tag
    _value(page, name).click(modifiers=["Alt"])
    expect(page.locator("#text")).to_have_value(re.compile("^-tag:"))
    page.locator("#clear").click()
    expect(page.locator("#facets li.exclude")).to_have_count(0)
    _value(page, name).click(button="right")
    expect(page.locator("#text")).to_have_value(re.compile("^-tag:"))


def test_another_year_can_be_chosen_beside_the_first(page: Page) -> None:
    """A facet ignores its own choice: the other years keep their counts, and two together give both."""
    counts = {year: _count(_value(page, year)) for year in ("2021", "2022")}
    _value(page, "2021").click()
    expect(page.locator("#summary")).to_have_text(f"{counts['2021']} pictures")
    assert _count(_value(page, "2022")) == counts["2022"]
    _value(page, "2022").click()
    expect(page.locator("#summary")).to_have_text(f"{sum(counts.values())} pictures")
    expect(page.locator("#facets li.include")).to_have_count(2)


def test_folding_a_group_is_kept_in_the_address(page: Page) -> None:
    """A folded group stays folded after a reload, as does the whole rail."""
    page.locator("#facets").get_by_role("button", name="Year taken").click()
    expect(page.locator("#facet-year")).to_be_hidden()
    page.reload()
    expect(page.locator("#facets").get_by_role("button", name="Tags")).to_be_visible()
    expect(page.locator("#facet-year")).to_be_hidden()
    page.get_by_role("button", name="Fold the facets away").click()
    expect(page.locator("#rail")).to_be_hidden()
    page.get_by_role("button", name="Narrow").click()
    expect(page.locator("#rail")).to_be_visible()


def test_on_a_phone_the_rail_is_a_drawer(new_page: NewPage, common_tag: tuple[str, int]) -> None:
    """It opens over the pictures, works, and leaves them with the chip in place."""
    name, images = common_tag
    page = new_page(phone=True)
    page.get_by_role("button", name="Narrow").tap()
    drawer = page.get_by_role("dialog", name="Narrow the result")
    drawer.get_by_role("button", name=re.compile(rf"^{re.escape(name)}, [\d,]+ pictures$")).tap()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    expect(page.locator("#chips")).to_contain_text(name)


def test_where_a_long_facet_ends(page: Page) -> None:
    """A dozen, then all the server told; that these are only the commonest is said, before and after."""

    def many(route: Route) -> None:
        told = route.fetch().json()
        told["facets"]["tag"] = [
            {"value": f"tag {n}", "count": 80 - n, "without": 1, "selected": None} for n in range(60)
        ]
        route.fulfill(json=told)

    page.route("**/v1/search", many)
    page.reload()
    tags = page.locator("#facet-tag")
    tags.get_by_role("button", name="The 60 commonest").click()
    expect(tags.get_by_role("button", name="tag 59, 21 pictures")).to_be_visible()
    expect(tags.locator(".hint")).to_have_text("The 60 commonest. Type the name of any other.")


def test_nothing_leads_to_no_picture(new_page: NewPage, common_tag: tuple[str, int]) -> None:
    """What every picture of the result has cannot be excluded, neither by its minus nor by the keys that mean it."""
    name, images = common_tag
    page = new_page(f'/?q=tag:"{name}"')
    expect(page.locator("#summary")).to_have_text(re.compile(rf"^{images} picture"))
    every = [_count(row) for row in page.locator("#facet-tag .value").all()].count(images)
    rows = page.locator("#facet-tag li:has(.value)")
    expect(page.locator("#facet-tag .without")).to_have_count(rows.count() - every + 1)
    page = new_page("/?q=id:1")
    expect(page.locator("#summary")).to_have_text("1 picture")
    expect(page.locator("#facet-tag .value").first).to_be_visible()
    expect(page.locator("#facets .without")).to_have_count(0)
    page.locator("#facet-tag .value").first.click(modifiers=["Alt"])
    page.locator("#facet-tag .value").first.click(button="right")
    expect(page.locator("#text")).to_have_value("id:1")


def _count(value: Locator) -> int:
    return int(value.locator(".count").inner_text().replace(",", ""))
