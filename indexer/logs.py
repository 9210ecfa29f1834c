"""Log lines that say which request, task and images they are about, and hold no secrets.

Modules log through the standard library as ever; roots call `configure` once, and whoever begins a piece of work
binds its ids: every line inside carries them, also those of libraries.
"""

import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["text", "json"]
HIDDEN = "[hidden]"
_TELLING = (
    r"authorization|proxy-authorization|x-api-key|api[_-]?key|access[_-]?key|[a-z_-]*token|[a-z_-]*password|passwd|"
    r"[a-z_-]*secret|x-amz-signature|x-amz-credential|sig|signature"
)
_SECRET_KEY = re.compile(rf"(?i)^(?:{_TELLING}|(?:set-)?cookie)$")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# In the order they are tried: a key of ours wherever it stands, a word after "Bearer", a password in an address, a
# value after a name that says secret.
_SECRETS = (
    (re.compile(r"(?<![\w-])sightline_[\w-]{43}(?![\w-])"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s*[=:]\s*)[^\r\n\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s/]+@"), rf"\1{HIDDEN}@"),
    (
        re.compile(rf"(?i)\b((?:{_TELLING})[\"']?\s*[=:]\s*[\"']?)(?!bearer |basic )[^\s\"',;&]+"),
        rf"\1{HIDDEN}",
    ),
)


def configure(form: LogFormat = "text", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every logger's lines to `stream` (standard error): one a line, as text to read or JSON to collect."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_gathered(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_written(form)],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in ("alembic", "httpx", "httpcore", "pymilvus"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextmanager
def binding(
    *,
    request_id: str | None = None,
    task_id: str | None = None,
    image_ids: Sequence[int] | None = None,
    **more: str | int,
) -> Iterator[None]:
    """Every line logged inside, in this thread or task, says these; what is None is left as it was."""
    ids: dict[str, Any] = {"request_id": request_id, "task_id": task_id, **more}
    if image_ids is not None:
        ids["image_ids"] = list(image_ids)
    with structlog.contextvars.bound_contextvars(**{k: v for k, v in ids.items() if v is not None}):
        yield


def bound(name: str) -> Any:
    """What is bound under `name` in this thread or task, or None."""
    return structlog.contextvars.get_contextvars().get(name)


def without_secrets(text: str) -> str:
    """`text` with passwords in addresses, bearer tokens and values of names that say secret hidden."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _gathered() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]


def _written(form: LogFormat) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, _hide_secrets, structlog.processors.JSONRenderer()]
    line = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, pad_level=False)
    return [structlog.processors.format_exc_info, _hide_secrets, _one_line, line]


def _add_trace(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The OpenTelemetry trace this line belongs to, when the process is traced."""
    telemetry = sys.modules.get("opentelemetry.trace")  # there only if something has asked for it
    if telemetry is not None:
        context = telemetry.get_current_span().get_span_context()
        if context.is_valid:
            event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


def _hide_secrets(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {key: HIDDEN if _SECRET_KEY.match(key) else _clean(value) for key, value in event.items()}


def _one_line(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """A file's name may hold a line break, or a terminal's commands: they are written out, not obeyed."""
    event["event"] = _CONTROLS.sub(
        lambda found: found[0].encode("unicode_escape").decode(), str(event["event"])
    )
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: HIDDEN if _SECRET_KEY.match(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
