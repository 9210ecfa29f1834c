"""The page in a real browser, against a real server and a real worker: upload, wait, search, filter, open."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from indexer.cli.demo import bundled_photographs
from tests.conftest import caretaker

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chelsea.png", "coffee.png", "rocket.jpg", "china.jpg")
# The machine may be busy with other tests.
SLOW_MS = 120_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where `sightline serve` answers, with a home, servers and a worker of its own."""
    home = Path(tempfile.mkdtemp(prefix="sightline-page-")).resolve()
    warden = caretaker(home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SIGHTLINE_")}
    log = (home / "serve.log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-c", "from indexer.cli import main; main()", "serve", "--port", str(port)],
        env={**environment, "SIGHTLINE_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=log,
        stderr=log,
    )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", server, home / "serve.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()
        warden.communicate(timeout=90)


def _wait_until_ready(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 280
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=20).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail(f"The server did not become ready:\n{log.read_text()}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, as the system packages it."""
    if CHROMIUM is None:
        pytest.skip("NO BROWSER: the page was not tested. Install chromium (`apt-get install chromium`).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A fresh page on which no script fails and nothing from elsewhere is asked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    expect.set_options(timeout=SLOW_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith((address, "blob:")) else wrong.append(f"asked for {r.url}"),
    )
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def test_from_upload_to_detail(page: Page, address: str) -> None:
    """A newcomer adds pictures, sees them arrive, searches by words and by picture, filters, opens one."""
    expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
    paths = [path for path in bundled_photographs() if path.name in NAMES]
    _upload(page, [*paths, Path(__file__)])
    cards = page.locator("#results .card")
    expect(cards).to_have_count(len(paths))
    _search_by_words(page)
    _search_by_picture(page, next(path for path in paths if path.name == "chelsea.png"))
    _filter_by_tag(page, address)
    _open_and_correct(page)


def _upload(page: Page, paths: list[Path]) -> None:
    page.locator("#pick-uploads").set_input_files(paths)
    panel = page.locator("#uploads")
    expect(panel.locator("li.refused")).to_have_count(1)
    expect(panel.locator("li.refused")).to_contain_text("it is text")
    expect(panel.locator("li.done")).to_have_count(len(paths) - 1)
    expect(panel.get_by_role("status")).to_have_text(f"{len(paths) - 1} done · 1 not added")
    panel.get_by_role("button", name="Close the list").click()
    expect(panel).to_be_hidden()


def _search_by_words(page: Page) -> None:
    page.keyboard.press("Escape")
    page.locator("body").press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("a cat")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?q=a\+cat$"))
    expect(page.locator("#summary")).to_contain_text("4 pictures, nearest first")
    page.get_by_role("button", name="Clear the search").click()
    expect(page.locator("#summary")).to_contain_text("newest first")


def _search_by_picture(page: Page, path: Path) -> None:
    page.locator("#pick-example").set_input_files(path)
    expect(page.locator("#examples img")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("nearest first")
    page.reload()
    expect(page.locator("#examples img")).to_be_visible()
    expect(page.locator("#results .card")).to_have_count(len(NAMES))
    page.get_by_role("button", name="Clear the search").click()


def _filter_by_tag(page: Page, address: str) -> None:
    """The chip of a tag that some pictures show: required, then excluded, then gone; back undoes it."""
    tags = httpx.get(f"{address}/v1/tags").json()["tags"]
    name, images = next((tag["name"], tag["images"]) for tag in tags if tag["images"] < len(NAMES))
    page.goto(f"{address}/?tag={name}")
    expect(page.locator("#results .card")).to_have_count(images)
    chip = page.locator(f'.chip[data-tag="{name}"]')
    chip.click()
    expect(page.locator("#results .card")).to_have_count(len(NAMES) - images)
    expect(page).to_have_url(re.compile(r"\?not="))
    page.go_back()
    expect(page.locator("#results .card")).to_have_count(images)
    chip.click()
    chip.click()
    expect(page.locator("#results .card")).to_have_count(len(NAMES))


def _open_and_correct(page: Page) -> None:
    first = page.locator("#results .card").first
    first.click()
    detail = page.get_by_role("dialog")
    expect(detail.get_by_role("heading", name="Tags")).to_be_visible()
    opened = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(opened)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(opened)
    detail.get_by_role("textbox", name="Add a tag").fill("Seen In A Browser")
    page.keyboard.press("Enter")
    tag = detail.get_by_role("button", name="seen in a browser", exact=True)
    expect(tag).to_be_visible()
    tag.click()
    expect(detail).to_be_hidden()
    expect(page.locator("#results .card")).to_have_count(1)
    page.locator("#results .card").click()
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page.locator("#results .card")).to_be_focused()


def test_failures_say_what_to_do(page: Page, address: str) -> None:
    """An unknown tag and a silent server are told in words, with a way on."""
    page.goto(f"{address}/?tag=no+such+tag+at+all")
    expect(page.get_by_role("heading", name="No such tag")).to_be_visible()
    page.get_by_role("button", name="Remove no such tag at all").click()
    expect(page.get_by_role("heading", name="No such tag")).to_be_hidden()
    page.route("**/v1/search", lambda route: route.abort())
    page.locator("#text").fill("anything")
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_hidden()
