"""Each service's very command, started by hand against real servers, answers its own health check and does its work."""

import json
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexer.cli.demo import bundled_photographs
from tests.conftest import ROOT
from tests.deploy import compose
from tests.deploy.conftest import SERVICES, Machine

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def migrated(machine: Machine) -> Machine:
    """After the one-shot migration."""
    done = machine.run("migrate")
    assert done.returncode == 0, done.stderr
    return machine


@pytest.fixture(scope="module")
def refused(migrated: Machine) -> "subprocess.CompletedProcess[str]":
    """How the API ends that is started before there is a key."""
    return migrated.run("api")


@pytest.fixture(scope="module")
def key(migrated: Machine, refused: "subprocess.CompletedProcess[str]") -> str:
    """A key for everything, made as docs/deploy.md says."""
    made = migrated.run("migrate", "keys", "create", "first", "--scope", "admin", "--json")
    assert made.returncode == 0, made.stderr
    found: str = json.loads(made.stdout)["key"]
    return found


@pytest.fixture(scope="module")
def api(migrated: Machine, key: str) -> httpx.Client:
    """The API as compose.yaml starts it."""
    migrated.wait("api", migrated.start("api"))
    address = f"http://127.0.0.1:{migrated.port('api', 8420)}"
    return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """Long, readable by containers in a folder closed to others; made again they stay; addresses hold the passwords."""
    made = {}
    for _ in range(2):
        subprocess.run([ROOT / "deploy/make-secrets.sh", tmp_path / "s"], check=True, capture_output=True)
        now = {path.name: path.read_text() for path in (tmp_path / "s").iterdir()}
        assert made in ({}, now)
        made = now
    assert set(compose.load()["secrets"]) == set(made)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert re.fullmatch(r"[0-9a-f]{64}", made["postgres_password"])
    assert (
        made["postgres_url"] == f"postgresql://sightline:{made['postgres_password']}@postgres:5432/sightline"
    )
    assert made["redis_url"] == f"redis://:{made['redis_password']}@redis:6379/0"
    assert made["milvus_token"] == f"root:{made['milvus_password']}"


def test_redis_wants_its_password(machine: Machine) -> None:
    """By its own command it is healthy with the secret, and refuses who has none."""
    assert machine.healthy("redis")
    command = [str(machine.folder / "bin/redis-cli"), "-p", str(machine.port("redis", 6379)), "ping"]
    assert "NOAUTH" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_migrating_twice_changes_nothing(migrated: Machine) -> None:
    """The container runs at every start."""
    again = migrated.run("migrate")
    assert again.returncode == 0
    assert "this version's" in again.stderr


def test_without_a_key_the_api_listens_to_nobody(refused: "subprocess.CompletedProcess[str]") -> None:
    """It says which command makes one."""
    assert refused.returncode == 1
    assert "sightline keys create" in refused.stderr


def test_the_api_answers_with_a_key(api: httpx.Client, migrated: Machine) -> None:
    """Health to anybody, metrics and search to who has a key; its log is JSON with request ids and no secrets."""
    assert httpx.get(f"{api.base_url}/healthz").status_code == 200
    assert httpx.get(f"{api.base_url}/metrics").status_code == 401
    assert b"sightline_catalogue_up 1.0" in api.get("/metrics").content
    assert api.get("/readyz").json()["status"] in ("ready", "degraded")
    answer = api.get("/v1/search", headers={"X-Request-ID": "by-hand-1"})
    assert answer.status_code == 200
    line = _line(migrated, "by-hand-1")
    assert (line["event"], line["status"]) == ("GET /v1/search", 200)
    for name in ("postgres_password", "redis_password"):
        assert (migrated.folder / "secrets" / name).read_text() not in migrated.log("api")


def test_workers_bring_an_upload_all_the_way(api: httpx.Client, migrated: Machine) -> None:
    """Two without models and one with them, as compose.yaml divides the work; all end cleanly when asked to."""
    workers = {name: migrated.start(name) for name in ("worker", "worker-decode", "worker-cpu")}
    for name, process in workers.items():
        migrated.wait(name, process)
    path = next(path for path in bundled_photographs() if path.name == "coffee.png")
    files = [("file", (path.name, path.read_bytes()))]
    taken = api.post("/v1/images", files=files, headers={"X-Request-ID": "upload-1"})
    assert taken.status_code in (200, 201, 202), taken.text
    image_id = taken.json()["items"][0]["image_id"]
    deadline = time.monotonic() + 120
    while api.get(f"/v1/images/{image_id}").json()["state"] != "indexed":
        assert time.monotonic() < deadline, migrated.log("worker-cpu") + migrated.log("worker")
        time.sleep(0.3)
    hits = api.get("/v1/search", params={"q": "a cup of coffee", "all": True}).json()["hits"]
    assert [hit["image"]["id"] if "image" in hit else hit["id"] for hit in hits] == [image_id]
    heard = [line for line in _lines(migrated, "api") if line.get("request_id") == "upload-1"]
    assert [image_id] in [line.get("image_ids") for line in heard]
    assert [image_id] in [line.get("image_ids") for line in _lines(migrated, "worker-cpu")]
    counted = httpx.get(f"http://127.0.0.1:{migrated.port('worker-cpu', 9420)}/metrics").text
    assert re.search(r"^sightline_batch_size_count [1-9]", counted, re.MULTILINE)
    for name, process in workers.items():
        process.terminate()
        assert process.wait(timeout=60) == 0, migrated.log(name)


def test_the_gpu_worker_is_the_cpu_worker_elsewhere() -> None:
    """The same queues and settings but for the device, the batch and what hangs on them: what runs here runs there."""
    gpu, cpu = SERVICES["worker-gpu"], SERVICES["worker-cpu"]
    assert gpu["command"] == cpu["command"]
    differing = {
        n for n in compose.environment(gpu) if compose.environment(gpu)[n] != compose.environment(cpu).get(n)
    }
    assert differing == {"SIGHTLINE_DEVICE", "SIGHTLINE_WORKER__BATCH_SIZE"}


def _line(machine: Machine, request_id: str) -> dict[str, Any]:
    """The API's line of a request: it is written once the answer is on its way."""
    deadline = time.monotonic() + 10
    while True:
        found = [line for line in _lines(machine, "api") if line.get("request_id") == request_id]
        if found:
            [line] = found
            return line
        assert time.monotonic() < deadline, machine.log("api")
        time.sleep(0.1)


def _lines(machine: Machine, service: str) -> list[dict[str, Any]]:
    return [_parsed(line) for line in machine.log(service).splitlines()]


def _parsed(line: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return found
