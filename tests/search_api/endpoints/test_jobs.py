"""Progress of jobs."""

import pytest
from fastapi.testclient import TestClient

from indexer.pipeline import STAGES


def test_newest_first(client: TestClient, library: dict[str, int], photographs: dict[str, bytes]) -> None:
    """The list starts with the last job and holds what the job itself tells."""
    taken = client.post("/v1/images", files={"file": ("again.jpg", photographs["rocket.jpg"])}).json()
    told = client.get("/v1/jobs", params={"limit": 1}).json()
    newest = told["jobs"][0]
    assert newest["created_at"] <= told["as_of"]
    assert newest["id"] == taken["job_id"]
    detail = client.get(f"/v1/jobs/{taken['job_id']}").json()
    assert detail.pop("failures") == []
    assert detail == newest


def test_stages_are_timed(client: TestClient, library: dict[str, int]) -> None:
    """A finished job tells where its time went."""
    first = client.get("/v1/jobs", params={"limit": 100}).json()["jobs"][-1]
    assert first["indexed"] == len(library)
    assert set(first["stage_seconds"]) == set(STAGES)


@pytest.mark.parametrize("job_id", ["0", "99999", str(2**80)])
def test_no_such_job(client: TestClient, job_id: str) -> None:
    """Unknown ids are 404 and say where to look."""
    answer = client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 404
    assert "/v1/jobs" in answer.json()["detail"]
