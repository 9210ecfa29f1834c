"""Each request has an id, is counted by its route and leaves one line."""

import json
import logging

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from indexer import metrics


def _count(**labels: str) -> float:
    return metrics.registry.get_sample_value("sightline_http_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2_3", True), ("x" * 64, True), ("x" * 65, False), ("", False), ("a b", False), ("é", False)],
)
def test_answers_carry_the_request_id(client: TestClient, given: str, kept: bool) -> None:
    """The sender's if it is plain, otherwise a fresh one."""
    answer = client.get("/healthz", headers={"X-Request-ID": given.encode()})
    found = answer.headers["x-request-id"]
    assert (found == given) == kept
    assert found.isalnum() or kept


def test_refused_requests_have_one_too(client: TestClient) -> None:
    """What never reaches an endpoint is found in the log all the same."""
    answer = client.get("/healthz", headers={"Host": "elsewhere.example", "X-Request-ID": "r-7"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (400, "r-7")


def test_a_route_is_counted_not_an_address(client: TestClient) -> None:
    """A thousand image ids are one series; what nobody answers is one too."""
    route = {"method": "GET", "route": "/v1/jobs/{job_id}", "status": "404"}
    lost = {"method": "GET", "route": "none", "status": "404"}
    before = _count(**route), _count(**lost)
    for path in ("/v1/jobs/998877", "/v1/jobs/998878", "/nothing/here", "/nothing/there"):
        client.get(path)
    assert (_count(**route), _count(**lost)) == (before[0] + 2, before[1] + 2)


def test_invented_methods_make_no_series(client: TestClient) -> None:
    """They are counted as one."""
    client.request("BREW", "/v1/jobs")
    assert 'method="BREW"' not in metrics.exposition().decode()


def test_one_line_a_request(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """With its outcome and without what was looked for; probes leave none."""
    with caplog.at_level(logging.INFO, logger="search_api.request_log"):
        client.get("/v1/jobs?limit=3&secret=query", headers={"X-Request-ID": "r-8"})
        client.get("/healthz")
    (line,) = [record for record in caplog.records if record.name == "search_api.request_log"]
    assert line.getMessage() == "GET /v1/jobs"
    assert line.__dict__["status"] == 200
    assert 0 < line.__dict__["took_ms"] < 60_000


def test_metrics_are_text_prometheus_reads(client: TestClient, library: dict[str, int]) -> None:
    """Counters of this process, and what is in the catalogue."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    states = {sample.labels["state"]: sample.value for sample in families["sightline_images"].samples}
    assert states["indexed"] >= len(library)
    queues = {sample.labels["queue"] for sample in families["sightline_queue_waiting"].samples}
    assert queues == {"index", "fetch", "writes"}
    assert families["sightline_catalogue_up"].samples[0].value == 1


def test_searches_are_counted_by_plan(client: TestClient, library: dict[str, int]) -> None:
    """By meaning and by conditions alone."""

    def searches() -> dict[str, float]:
        (family,) = [f for f in metrics.registry.collect() if f.name == "sightline_search_seconds"]
        return {s.labels["plan"]: s.value for s in family.samples if s.name.endswith("_count")}

    before = searches()
    plan = client.get("/v1/search", params={"q": "a cat", "explain": True}).json()["explain"]["plan"]
    client.get("/v1/search", params={"q": "width:>1"})
    after = searches()
    assert after[plan] == before.get(plan, 0) + 1
    assert after["postings"] == before.get("postings", 0) + 1


def test_a_slip_is_counted_once(client: TestClient) -> None:
    """A query refused is a 422 of its route, and its body is a problem."""
    labels = {"method": "GET", "route": "/v1/search", "status": "422"}
    before = _count(**labels)
    assert json.loads(client.get("/v1/search", params={"q": "width:>>"}).text)["name"]
    assert _count(**labels) == before + 1
