"""What is counted is what is written out."""

import ast
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from indexer import metrics

ROOT = Path(__file__).parents[2]


def _value(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_everything_is_exposed_with_its_meaning() -> None:
    """Each has a name of ours, a type and a sentence; the process's own memory is there too."""
    families = {
        family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())
    }
    ours = {name for name in families if name.startswith("sightline_")}
    assert {"sightline_batch_size", "sightline_search_seconds", "sightline_http_requests"} <= ours
    assert all(families[name].documentation.endswith(".") for name in ours)
    assert "process_resident_memory_bytes" in families


def test_counting() -> None:
    """A label's count grows by what is counted and no other's does."""
    before = _value("sightline_work_done_total", outcome="indexed")
    metrics.work_done.labels(outcome="indexed").inc(3)
    metrics.work_done.labels(outcome="dead").inc()
    assert _value("sightline_work_done_total", outcome="indexed") == before + 3


def test_busy_adds_the_time_inside() -> None:
    """Also when what is inside fails."""
    before = _value("sightline_gpu_busy_seconds_total")
    try:
        with metrics.busy():
            time.sleep(0.02)
            raise ValueError
    except ValueError:
        pass
    assert 0.02 <= _value("sightline_gpu_busy_seconds_total") - before < 1.0


def test_nobody_counts_with_a_label_there_is_not() -> None:
    """Every `metrics.name.labels(...)` in the source names that metric's own labels."""
    wrong = []
    for path in (p for top in ("indexer", "workers", "search_api") for p in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "labels"
            ):
                continue
            owner = node.func.value
            if (
                isinstance(owner, ast.Attribute)
                and isinstance(owner.value, ast.Name)
                and owner.value.id == "metrics"
            ):
                known = set(getattr(metrics, owner.attr)._labelnames)
                given = {keyword.arg for keyword in node.keywords} or known
                if given != known:
                    wrong.append(f"{path}:{node.lineno}")
    assert not wrong
