"""Log lines carry ids and no secrets."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import logs

logger = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_ids_are_on_every_line_inside() -> None:
    """And on none after, nor in another thread."""
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    with logs.binding(request_id="r1", image_ids=[7, 8]):
        assert logs.bound("request_id") == "r1"
        logger.info("looked at %d", 2)
        aside = threading.Thread(target=logger.info, args=["aside"])
        aside.start()
        aside.join()
        with logs.binding(task_id="t1", image_ids=[7]):
            logger.warning("refused")
    logger.info("after")
    looked, other, refused, after = _lines(stream)
    assert (looked["event"], looked["request_id"], looked["image_ids"]) == ("looked at 2", "r1", [7, 8])
    assert "request_id" not in other
    assert (refused["request_id"], refused["task_id"], refused["image_ids"]) == ("r1", "t1", [7])
    assert refused["level"] == "warning"
    assert not {"request_id", "image_ids"} & set(after)
    assert logs.bound("request_id") is None


def test_a_traceback_stays_in_its_line() -> None:
    """One event is one JSON object, also with an exception."""
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    try:
        raise ValueError("postgresql://sightline:hunter2@db/x does not answer")
    except ValueError:
        logger.exception("failed")
    (line,) = _lines(stream)
    assert "ValueError" in line["exception"]
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "told",
    [
        "connecting to postgresql://sightline:hunter2@db:5432/sightline",
        "redis://:hunter2@redis:6379/0 is away",
        "postgresql://sightline:hun@hunter2@db/x",
        "Authorization: Bearer hunter2",
        "{'authorization': 'Basic hunter2'}",
        'headers: {"X-API-Key": "hunter2"}',
        "GET /x?api_key=hunter2&y=1",
        "https://bucket.example/a.jpg?X-Amz-Signature=hunter2",
        "MILVUS_TOKEN=hunter2",
        "milvus_token='hunter2'",
        "Cookie: theme=dark; session=hunter2",
        "password=hunter2",
        "looked up sightline_hunter2" + "x" * 36 + " in vain",
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_hidden(told: str, form: logs.LogFormat) -> None:
    """Whatever names them: an address, a header, a query, a setting."""
    stream = io.StringIO()
    logs.configure(form, stream=stream)
    logger.error("%s", told)
    logger.error("given", extra={"given": {"nested": [told]}, "password": "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert logs.HIDDEN in stream.getvalue()


_PIECES = ("token", "=", ": ", "Bearer ", "://", "u", ":", "@", "/", " ", '"', "&", "cookie", "\n", "x", ";")


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_what_holds_no_secret_can_be_hidden_twice(text: str) -> None:
    """Hiding is settled after one pass, whatever the text: no secret is left for a second to find."""
    once = logs.without_secrets(text)
    assert logs.without_secrets(once) == once


@pytest.mark.parametrize("text", ["12 tokens: 5 left", "file:///a/b.jpg", "http://host:8420/x", "tag:dog"])
def test_plain_words_stay(text: str) -> None:
    """An address without a password and ordinary words are written as they are."""
    assert logs.without_secrets(text) == text


def test_a_name_cannot_forge_a_line() -> None:
    """Line breaks and terminal commands in what a stranger named are written out."""
    stream = io.StringIO()
    logs.configure("text", stream=stream)
    logger.info("refused %s", "a.jpg\n2026-01-01 [error] forged \x1b[2J")
    (line,) = stream.getvalue().splitlines()
    assert "\\n2026" in line
    assert "\x1b" not in line
