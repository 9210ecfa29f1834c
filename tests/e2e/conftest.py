"""A real browser against a real server and a real worker, with a small library that a newcomer added by the page."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from indexer.cli.demo import bundled_photographs
from tests.caretaker import caretaker
from tests.drills.deployment import SIGHTLINE

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
# The machine may be busy with other tests.
SLOW_MS = 60_000
ARRIVAL_MS = 240_000
# Cuts of each photograph, as shares of its sides (left, top, right, bottom): other shapes, and enough to scroll.
CUTS = ((0.0, 0.0, 0.6, 0.9), (0.3, 0.1, 1.0, 0.6), (0.1, 0.3, 0.8, 1.0), (0.2, 0.0, 0.7, 1.0))
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

NewPage = Callable[..., Page]


@dataclass(frozen=True)
class Arrival:
    """What a newcomer saw while adding the first pictures."""

    empty: str
    refused: str
    told: str
    pictures: int


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser and may wait for the server to come up."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """Where `sightline serve` answers, with a home, servers and a worker of its own; the library is empty."""
    home = Path(tempfile.mkdtemp(prefix="sightline-page-")).resolve()
    warden = caretaker(home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SIGHTLINE_")}
    environment |= {"SIGHTLINE_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    log = (home / "serve.log").open("wb")
    server = subprocess.Popen(
        [*SIGHTLINE, "serve", "--port", str(port)],
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", server, home / "serve.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run([*SIGHTLINE, "stop"], env=environment, check=True, timeout=120)
        server.wait(5)  # `stop` has ended it, too
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


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium, as the system packages it."""
    if CHROMIUM is None:
        pytest.skip("NO BROWSER: the page was not tested. Install chromium (`apt-get install chromium`).")
    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The photographs that come with installed libraries, whole and in cuts, some of them dated."""
    folder = tmp_path_factory.mktemp("photographs")
    made = []
    for number, path in enumerate(bundled_photographs()):
        whole = Image.open(path).convert("RGB")
        whole.thumbnail((640, 640))
        for cut, box in enumerate(((0.0, 0.0, 1.0, 1.0), *CUTS)):
            sides = (whole.width, whole.height) * 2
            piece = whole.crop(tuple(round(share * side) for share, side in zip(box, sides, strict=True)))
            made.append(_dated(piece, folder / f"{path.stem}-{cut}.jpg", 2021 + number % 3))
    return made


def _dated(image: Image.Image, path: Path, year: int) -> Path:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = f"{year}:06:15 12:00:00"  # Exif IFD, DateTimeOriginal
    image.save(path, quality=88, exif=exif)
    return path


@pytest.fixture(scope="package")
def arrival(browser: Browser, address: str, photographs: list[Path]) -> Arrival:
    """The pictures are added through the page, with one file among them that is none."""
    page = browser.new_page(viewport=DESKTOP)
    page.goto(address)
    empty = page.locator(".state h2").inner_text()
    page.locator("#pick-uploads").set_input_files([*photographs, Path(__file__)])
    panel = page.locator("#uploads")
    expect(panel.locator("li.refused")).to_have_count(1)
    expect(panel.get_by_role("status")).to_have_text(
        f"{len(photographs)} done · 1 not added", timeout=ARRIVAL_MS
    )
    refused = panel.locator("li.refused").inner_text()
    panel.get_by_role("button", name="Close the list").click()
    expect(page.locator("#summary")).to_have_text(f"{len(photographs)} pictures")
    told = page.locator("#summary").inner_text()
    page.close()
    return Arrival(empty, refused, told, len(photographs))


@pytest.fixture
def new_page(browser: Browser, address: str, arrival: Arrival) -> Iterator[NewPage]:
    """Makes fresh pages on which no script fails and nothing from elsewhere is asked for."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def make(path: str = "/", *, theme: str = "light", phone: bool = False) -> Page:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            color_scheme=theme,
            reduced_motion="reduce",
            has_touch=phone,
            is_mobile=phone,
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW_MS)
        _watch(page, address, wrong)
        page.goto(address + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []


def _watch(page: Page, address: str, wrong: list[str]) -> None:
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith((address, "blob:")) else wrong.append(f"asked for {r.url}"),
    )


def settled(page: Page) -> None:
    """Wait until what was asked is answered."""
    expect(page.locator("#summary")).not_to_have_attribute("aria-busy", "true")


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A fresh page on the whole library, on a desk."""
    page = new_page()
    expect(page.locator("#results .card[data-id]").first).to_be_visible()
    return page


@pytest.fixture
def common_tag(address: str, arrival: Arrival) -> tuple[str, int]:
    """The commonest tag that not every picture shows, and how many show it."""
    found = httpx.post(f"{address}/v1/search", json={"q": "", "facets": ["tag"]}).json()
    return next((t["value"], t["count"]) for t in found["facets"]["tag"] if t["count"] < arrival.pictures)
