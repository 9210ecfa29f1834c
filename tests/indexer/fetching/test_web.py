"""Fetching from servers that mean no good."""

import socket
import ssl
import subprocess
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import (
    AddressRefused,
    BrokenImage,
    ImageError,
    ImageTooLarge,
    NotFetched,
    UnsupportedFormat,
)
from indexer.fetching import Boundary, FetchLimits, WebFetch
from indexer.fetching.addresses import networks
from indexer.fetching.dialing import system_resolve
from indexer.fetching.web import _retry_after, parsed
from tests.hostile_server import INSIDE, OUTSIDE, HostileServer, picture
from tests.indexer.fetching.conftest import Fetching


def test_a_picture_comes_as_it_is(server: HostileServer, fetching: Fetching) -> None:
    """By name, with that name as Host; nothing is packed, no cookie or address of ours is sent along."""
    fetch = fetching({"shop.example": [OUTSIDE]})
    assert fetch(server.url("/picture", "shop.example")) == picture()
    assert server.hosts[-1] == f"shop.example:{server.port}"
    assert set(server.headers[-1]) == {"Host", "Accept", "Accept-Encoding", "User-Agent"}
    assert fetch(server.url("/packed")) == picture()
    assert fetch(server.url("/to//picture")) == picture()


@pytest.mark.parametrize(
    "host",
    [
        INSIDE,
        "localhost",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
        "127.2",
        "0x7f.0.0.2",
        "127.0.0.2.",
        "[::ffff:127.0.0.2]",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "①②⑦.⓪.⓪.②",
        "127。0。0。2",
    ],
)
def test_inside_is_refused_however_written(server: HostileServer, host: str) -> None:
    """Names, addresses, decimal, hexadecimal, octal, short, mapped, with odd digits or dots: nobody is asked."""
    fetch = WebFetch(FetchLimits(timeout_s=5), Boundary(networks(OUTSIDE)), lambda name: [INSIDE])
    before = len(server.asked)
    with pytest.raises(AddressRefused):
        fetch(server.url("/picture", host))
    assert len(server.asked) == before


def test_the_systems_resolver_is_checked_too(server: HostileServer) -> None:
    """The name every machine knows itself by, by the real resolver."""
    assert system_resolve("localhost")
    with pytest.raises(AddressRefused, match="this machine itself"):
        WebFetch()(server.url("/picture", "localhost"))


@pytest.mark.parametrize("where", ["http://inside.example:{0}/picture", "http://127.0.0.2:{0}/picture"])
def test_a_redirect_leads_nowhere_inside(server: HostileServer, fetching: Fetching, where: str) -> None:
    """Each step is looked at like the first; the one inside is never asked."""
    fetch = fetching({"shop.example": [OUTSIDE], "inside.example": [INSIDE]})
    before = server.asked.count("/picture")
    with pytest.raises(AddressRefused, match=INSIDE):
        fetch(server.url("/to/" + where.format(server.port), "shop.example"))
    assert server.asked.count("/picture") == before


@pytest.mark.parametrize(
    "where", ["file:///etc/passwd", "ftp://shop.example/a.jpg", "gopher://x", "//a:b@c/"]
)
def test_a_redirect_keeps_to_the_web(server: HostileServer, fetching: Fetching, where: str) -> None:
    """No other scheme, no passwords."""
    with pytest.raises(AddressRefused):
        fetching()(server.url("/to/" + where))


def test_a_name_that_changes_its_answer(server: HostileServer) -> None:
    """One look-up a connection: what was checked is what is connected to; the next look-up is checked anew."""
    answers = [[OUTSIDE], [INSIDE]]
    looked_up = []

    def resolve(host: str) -> list[str]:
        looked_up.append(host)
        return answers.pop(0)

    fetch = WebFetch(FetchLimits(timeout_s=5), Boundary(networks(OUTSIDE)), resolve)
    url = server.url("/picture", "rebind.example")
    assert fetch(url) == picture()
    assert looked_up == ["rebind.example"]
    with pytest.raises(AddressRefused, match=INSIDE):
        fetch(url)


def test_one_bad_address_among_good_ones(server: HostileServer, fetching: Fetching) -> None:
    """A name that stands for an address inside too is refused whole, whichever comes first."""
    fetch = fetching({"both.example": [OUTSIDE, INSIDE]})
    with pytest.raises(AddressRefused, match=r"both\.example"):
        fetch(server.url("/picture", "both.example"))


def test_the_next_address_is_tried(server: HostileServer) -> None:
    """Where the first of a name's addresses does not answer, the second may."""
    fetch = WebFetch(
        FetchLimits(timeout_s=5), Boundary(networks(f"{OUTSIDE},127.0.0.9")), lambda _: ["127.0.0.9", OUTSIDE]
    )
    assert fetch(server.url("/picture", "two.example")) == picture()


@pytest.mark.parametrize("port", [22, 25, 1])
def test_ports_of_other_services(fetching: Fetching, port: int) -> None:
    """No picture is behind them, and what is there may take a request for something else."""
    with pytest.raises(AddressRefused, match=f"Port {port}"):
        fetching()(f"http://{OUTSIDE}:{port}/picture")


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        ("/around/", NotFetched, "more than 5 times"),
        ("/endless", ImageTooLarge, "MAX_BYTES"),
        ("/lies", ImageTooLarge, "10,000,000,000"),
        ("/bomb", ImageTooLarge, "MAX_BYTES"),
        ("/film", UnsupportedFormat, "video"),
        ("/page", UnsupportedFormat, "web page"),
        ("/drawing", UnsupportedFormat, "SVG"),
        ("/not-packed", BrokenImage, "not packed as it says"),
        ("/half-packed", BrokenImage, "breaks off"),
        ("/strange", NotFetched, "Content-Encoding: br"),
        ("/cut", NotFetched, "broke off"),
        ("/status/204", NotFetched, "204 No Content"),
        ("/status/404", NotFetched, "404 Not Found"),
        ("/status/599", NotFetched, "599"),
    ],
)
def test_what_servers_do_instead(
    server: HostileServer, fetching: Fetching, path: str, error: type[ImageError], told: str
) -> None:
    """Each ends, soon, with a reason of its own; little more than the limit is ever read."""
    started = time.monotonic()
    with pytest.raises(error, match=told):
        fetching()(server.url(path))
    assert time.monotonic() - started < 4
    assert server.sent[path] < 20_000_000  # buffers of both sides included


@pytest.mark.parametrize("path", ["/slow", "/endless-head"])
def test_dripping_servers_run_out_of_time(server: HostileServer, fetching: Fetching, path: str) -> None:
    """A byte now and then keeps no connection alive past the limit, in the head or in the body."""
    started = time.monotonic()
    with pytest.raises(NotFetched, match=r"within 0\.5 s") as late:
        fetching(timeout_s=0.5)(server.url(path))
    assert late.value.again
    assert time.monotonic() - started < 3


def test_what_may_pass_is_told_apart(server: HostileServer, fetching: Fetching) -> None:
    """A server that is busy is worth another try, and says when; one that knows no such picture is not."""
    outcomes = {}
    for path in ("/status/503", "/status/429", "/status/404", "/status/403"):
        with pytest.raises(NotFetched) as failed:
            fetching()(server.url(path))
        outcomes[path[-3:]] = (failed.value.again, failed.value.after_s)
    assert outcomes == {"503": (True, None), "429": (True, 7.0), "404": (False, None), "403": (False, None)}
    with pytest.raises(NotFetched, match="cannot be looked up") as unknown:
        fetching()("http://nowhere.example/")
    assert not unknown.value.again


def test_nobody_listening(fetching: Fetching) -> None:
    """A machine that refuses the connection may be back."""
    with socket.socket() as silent:
        silent.bind((OUTSIDE, 0))
        with pytest.raises(NotFetched, match="does not answer") as refused:
            fetching()(f"http://{OUTSIDE}:{silent.getsockname()[1]}/")
    assert refused.value.again


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.example/a.jpg",
        "http://",
        "http:///a",
        "http://user:pw@shop.example/",
        "file:///etc/passwd",
        "http://[",
        "http://a:99999999/",
        "data:image/png;base64,AAAA",
        "http://" + "a" * 5_000,
    ],
)
def test_what_is_no_web_address(text: str) -> None:
    """Refused with a reason before anybody is asked."""
    with pytest.raises(AddressRefused):
        parsed(text)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    """Nothing else is ever raised, and what passes is http with a host."""
    try:
        at = parsed(f"http://{text}")
    except AddressRefused:
        return
    assert at.scheme == "http"
    assert at.host
    assert at.raw_host.isascii()


def test_waiting_as_asked() -> None:
    """Seconds or a date; never longer than ten minutes; nonsense is passed over."""
    assert _retry_after("30") == 30
    assert _retry_after("999999") == 600
    assert 0 < (_retry_after(formatdate(time.time() + 60, usegmt=True)) or 0) <= 61
    assert [_retry_after(text) for text in ("", "soon", "-1")] == [None, None, None]


def test_certificates_are_of_the_name_asked_for(tmp_path: Path, fetching: Fetching) -> None:
    """A certificate nobody vouches for is refused; one vouched for is good for its own name only."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shop.example"
    )
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:shop.example", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(picture())

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    names = {"shop.example": [OUTSIDE], "other.example": [OUTSIDE]}
    with HTTPServer((OUTSIDE, 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        known = fetching(names)
        fetch = WebFetch(known.limits, known.boundary, known.resolve, trusting)
        assert fetch(f"https://shop.example:{server.server_port}/") == picture()
        with pytest.raises(NotFetched, match="no valid certificate"):
            fetch(f"https://other.example:{server.server_port}/")
        with pytest.raises(NotFetched, match="no valid certificate"):
            known(f"https://shop.example:{server.server_port}/")
        server.shutdown()
