"""Dashboard and alarms ask for metrics that exist, and every alarm has a page to turn to."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from indexer import metrics
from indexer.catalog.backlog import Backlog, Waiting
from search_api.gauges import CatalogueGauges
from tests.conftest import ROOT
from tests.deploy import compose

DASHBOARD = json.loads((ROOT / "deploy/grafana.json").read_text())
ALARMS = yaml.safe_load((ROOT / "deploy/alarms.yml").read_text())["groups"][0]["rules"]
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
BACKLOG = Backlog({"indexed": 1}, {"index": Waiting(1, 1, 1.0)}, 1)
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
OF_PROMETHEUS = {"job", "instance", "le"}


def _known() -> dict[str, set[str]]:
    """Series name -> its labels."""
    known: dict[str, set[str]] = {"up": set()}
    labels = {
        name: set(metric._labelnames)
        for metric, names in metrics.registry._collector_to_names.items()
        for name in names
        if hasattr(metric, "_labelnames")
    }
    for family in metrics.registry.collect():
        for suffix in SUFFIXES.get(family.type, [""]):
            known[family.name + suffix] = labels.get(family.name, set())
    for family in text_string_to_metric_families(CatalogueGauges().exposition(lambda: BACKLOG).decode()):
        known[family.name] = {label for sample in family.samples for label in sample.labels}
    return known


def _queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))
    yield from ((alarm["alert"], alarm["expr"]) for alarm in ALARMS)


@pytest.mark.parametrize(("title", "query"), list(_queries()))
def test_every_query_names_what_exists(title: str, query: str) -> None:
    """Metrics with their suffix, and labels that these metrics have."""
    known = _known()
    named = set(re.findall(r"\b(?:sightline|process)_\w+", query)) | set(re.findall(r"\bup\b", query))
    assert named
    assert named <= set(known), named - set(known)
    labels = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
    labels |= set(re.findall(r"(\w+)=~?\"", query))
    assert labels <= OF_PROMETHEUS | {label for name in named for label in known[name]}
    assert query.count("(") == query.count(")")


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """What nobody looks at need not be counted."""
    told = " ".join(query for _, query in _queries())
    ours = {
        name.removesuffix("_total").removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for name in _known()
        if name.startswith("sightline_")
    }
    assert {name for name in ours if name not in told} == set()


def test_panels_are_told_apart() -> None:
    """Ids and places are each panel's own, and each says what it shows."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
    assert len(set(places)) == len(places)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


def test_every_alarm_has_its_page() -> None:
    """docs/operations.md says what to do, under the alarm's own name."""
    text = (ROOT / "docs/operations.md").read_text()
    for alarm in ALARMS:
        assert f"### {alarm['alert']}\n" in text
        assert alarm["annotations"]["summary"]
        assert alarm["labels"]["severity"] in ("page", "warn")


def test_whoever_is_asked_for_metrics_is_there() -> None:
    """The services Prometheus names, at the ports they serve."""
    services: dict[str, Any] = compose.load()["services"]
    for job in PROMETHEUS["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            for name in found["names"]:
                assert compose.environment(services[name])["SIGHTLINE_WORKER__METRICS_PORT"] == str(
                    found["port"]
                )
        for target in (t for found in job.get("static_configs", []) for t in found["targets"]):
            assert target.split(":")[0] in services
    assert services["api"]["hostname"] == "api"  # a name the API answers to
