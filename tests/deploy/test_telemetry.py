"""What the extra `telemetry` installs fits what it is to trace."""

import io
import json
import logging
from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest
from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts
from opentelemetry.sdk.trace import TracerProvider

from indexer import logs

INSTRUMENTORS = {point.name: point for point in entry_points(group="opentelemetry_instrumentor")}


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize("library", ["fastapi", "psycopg", "celery"])
def test_each_library_is_one_its_instrumentation_knows(library: str) -> None:
    """One of another version would be passed over in silence but for a line in the log."""
    assert get_dist_dependency_conflicts(INSTRUMENTORS[library].dist) is None


def test_lines_inside_a_span_name_its_trace() -> None:
    """So that a trace leads to its lines, and a line to its trace; outside there is none."""
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    tracer = TracerProvider().get_tracer("tests")
    with tracer.start_as_current_span("searching") as span:
        logging.getLogger("tests.telemetry").info("inside")
    logging.getLogger("tests.telemetry").info("outside")
    inside, outside = map(json.loads, stream.getvalue().splitlines())
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert inside["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert "trace_id" not in outside
