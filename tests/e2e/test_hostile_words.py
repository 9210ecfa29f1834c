"""Names, captions, titles and tags made to be run by a browser: everywhere the page shows them, they are only read."""

import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Browser, Page, expect

from indexer.local_stack import Endpoints
from indexer.settings import Settings
from tests.conftest import own_database
from tests.e2e.conftest import DESKTOP, settled
from tests.search_api.conftest import bring
from tests.search_api.live import served
from workers.runtime import build

RUN = "window.hacked=(window.hacked||0)+1"
IMG = f'"><img src=x onerror="{RUN}">'
HOSTILE = {
    "file": f"<img src=x onerror={RUN}>.png",
    "title": f"<script>{RUN}</script>",
    "description": f"</textarea><svg onload={RUN}>",
    "caption": f"a dog <iframe srcdoc='<script>parent.{RUN}</script>'></iframe> by {IMG} the sea",
    "tag": f"<svg/onload={RUN.replace('||', '??')}>",
    "collection": f"<a href='javascript:{RUN}' autofocus onfocus='{RUN}'>c</a>",
    "search": f"'\"--><details open ontoggle={RUN}>",
}


def _picture(number: int) -> bytes:
    """A picture that says hostile things of itself, and is a page besides."""
    about = PngImagePlugin.PngInfo()
    about.add_itxt("Title", HOSTILE["title"])
    about.add_itxt(
        "XML:com.adobe.xmp",
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title><rdf:Alt><rdf:li>{_escaped(HOSTILE['title'])}</rdf:li></rdf:Alt></dc:title>"
        f"<dc:description><rdf:Alt><rdf:li>{_escaped(HOSTILE['description'])}</rdf:li></rdf:Alt></dc:description>"
        f"<dc:subject><rdf:Bag><rdf:li>{_escaped(IMG)}</rdf:li></rdf:Bag></dc:subject>"
        "</rdf:Description></rdf:RDF></x:xmpmeta>",
    )
    out = io.BytesIO()
    Image.linear_gradient("L").rotate(number * 90).save(out, "PNG", pnginfo=about)
    return out.getvalue() + f"<!doctype html><script>{RUN}</script>".encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.fixture(scope="module")
def hostile(stack: Endpoints, stack_settings: Settings, migrated_template: str) -> Iterator[str]:
    """Where a library answers in which every text there can be is hostile."""
    with own_database(stack.postgres_url, migrated_template) as url:
        own = {"postgres_url": url, "redis_url": stack.redis_url, "milvus_url": stack.milvus_url}
        settings = Settings(home=stack_settings.home, **own)  # type: ignore[arg-type]
        worker = build(settings)
        with served(settings) as address, httpx.Client(base_url=address, timeout=60) as api:
            files = [("file", (HOSTILE["file"], _picture(number))) for number in range(2)]
            ids = [item["image_id"] for item in api.post("/v1/images", files=files).json()["items"]]
            bring(worker, ids)
            for image_id in ids:
                api.put(
                    f"/v1/images/{image_id}/caption", json={"text": HOSTILE["caption"]}
                ).raise_for_status()
            api.post("/v1/edits", json={"images": ids, "add": [HOSTILE["tag"]]}).raise_for_status()
            made = api.post("/v1/collections", json={"name": HOSTILE["collection"]}).json()
            api.post(f"/v1/collections/{made['id']}/images", json={"images": ids}).raise_for_status()
            body = {"name": HOSTILE["search"], "query": '"' + HOSTILE["search"].replace('"', "") + '"'}
            api.post("/v1/searches", json=body).raise_for_status()
            yield address
        worker.close()


@pytest.fixture
def page(browser: Browser, hostile: str) -> Iterator[Page]:
    """A page on that library, on which nothing hostile may have happened in the end."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce", accept_downloads=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None)
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith((hostile, "blob:")) else None)
    page.goto(hostile)
    yield page
    assert page.evaluate("window.hacked") is None
    assert (
        page.evaluate("document.querySelectorAll('iframe, script:not([src]), svg[onload], [onerror]').length")
        == 0
    )
    assert wrong == []
    context.close()


def test_among_the_pictures(page: Page) -> None:
    """Cards, facets, what is suggested, what is asked and what went wrong with it."""
    expect(page.locator("#results .card[data-id]")).to_have_count(2)
    page.locator("#results .card").first.hover()
    expect(page.locator("#facets")).to_contain_text("<svg/onload")
    page.locator("#text").press_sequentially("<svg", delay=10)
    expect(page.get_by_role("option").first).to_contain_text("<svg/onload")
    caption = HOSTILE["caption"].replace('"', "")
    for asked in (f'tag:"{HOSTILE["tag"]}"', f'"{caption}"', HOSTILE["title"], f"x:{IMG}"):
        page.locator("#text").fill(asked)
        page.keyboard.press("Enter")
        settled(page)


def test_in_an_address(page: Page, hostile: str) -> None:
    """A link to a search cannot make the page run its words."""
    for query in (HOSTILE["title"], IMG, f"tag:{IMG}", "javascript:alert(1)"):
        page.goto(f"{hostile}/?{httpx.QueryParams(q=query, image='1<script>', folded=IMG)}")
        settled(page)
    page.goto(f"{hostile}/login?{httpx.QueryParams(next='javascript:' + RUN)}")
    page.wait_for_url(f"{hostile}/")


def test_in_a_picture(page: Page) -> None:
    """Its captions, tags, title, description, name and place, and a tag put on it."""
    page.locator("#results .card a").first.click()
    detail = page.get_by_role("dialog")
    for words in (HOSTILE["file"], HOSTILE["title"], HOSTILE["tag"], "srcdoc="):
        expect(detail).to_contain_text(words)
    page.keyboard.press("t")
    page.keyboard.type(f"{IMG} again")
    page.keyboard.press("Enter")
    expect(detail).to_contain_text("onerror=")


def test_in_menus_and_remarks(page: Page) -> None:
    """Saved searches, collections, the remark after an edit, a file being added."""
    page.get_by_role("button", name="Saved searches").click()
    expect(page.locator("#saved-menu")).to_contain_text("ontoggle")
    page.keyboard.press("Escape")
    page.locator("#results .card").first.hover()
    page.locator("#results .pick").first.click()
    page.locator("#collect").click()
    expect(page.locator("#collect-menu")).to_contain_text("javascript:")
    page.keyboard.press("Escape")
    page.locator("#bulk-form input").fill(f"{IMG} more")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("onerror=")
    page.locator("#pick-uploads").set_input_files(
        {"name": HOSTILE["file"], "mimeType": "image/png", "buffer": b"<script>"}
    )
    expect(page.locator("#uploads")).to_contain_text("onerror=")


def test_the_original_by_itself(page: Page, hostile: str) -> None:
    """Opened as a document, a picture that is also a page is a picture."""
    [first, *_] = httpx.get(f"{hostile}/v1/search").json()["hits"]
    answer = page.goto(f"{hostile}/v1/images/{first['id']}/original")
    assert answer is not None
    assert answer.headers["content-type"] == "image/png"
    assert page.evaluate("document.contentType") == "image/png"


def test_text_cannot_become_markup(page: Page) -> None:
    """Even a script of ours that tried is stopped by the policy."""
    said = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (e) { return e.name } }"
    )
    assert said == "TypeError"
