"""compose.yaml holds what it names, and names nothing that is not there."""

import subprocess
import sys
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

from indexer import cli
from indexer.settings import Settings
from tests.conftest import ROOT
from tests.deploy import compose

READ = compose.load()
SERVICES: dict[str, Any] = READ["services"]
OURS = compose.ours(SERVICES)


def _settings(model: type[BaseModel] = Settings, prefix: str = "SIGHTLINE_") -> set[str]:
    names = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= _settings(inner, f"{prefix}{name.upper()}__")
        else:
            names.add(prefix + name.upper())
    return names


def test_it_follows_the_specification() -> None:
    """The published schema of compose files."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, str(compose.COMPOSE)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_what_a_deployment_needs_is_there() -> None:
    """Stores, the API, workers with and without models, and migrations that run once."""
    assert {"postgres", "redis", "milvus", "etcd", "object-store"} <= set(SERVICES)
    assert {"api", "worker", "worker-decode", "worker-gpu", "worker-cpu", "migrate"} == set(OURS)
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("kind", ["secrets", "configs", "volumes", "networks"])
def test_every_reference_is_defined_and_used(kind: str) -> None:
    """Nothing is named that is not defined; nothing is defined that nobody names."""
    used: set[str] = set()
    for service in SERVICES.values():
        for entry in service.get(kind, []):
            name = entry["source"] if isinstance(entry, dict) else entry.split(":")[0]
            used.add(name)
    assert used == set(READ[kind])


def test_every_file_is_there_or_made() -> None:
    """Configurations are in the repository; secrets are what make-secrets.sh makes."""
    for config in READ["configs"].values():
        assert compose.folder_of(config["file"]).is_file()
    made = (ROOT / "deploy/make-secrets.sh").read_text()
    for name, secret in READ["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
        assert f"keep {name} " in made


def test_nobody_reads_a_secret_that_is_not_theirs_to_read() -> None:
    """What a service reads below /run/secrets is listed with it, and what is listed is read."""
    for name, service in SERVICES.items():
        told = f"{service.get('environment', {})} {service.get('command')} {service.get('healthcheck')}"
        if name == "prometheus":
            told += (ROOT / "deploy/prometheus.yml").read_text()
        for secret in READ["secrets"]:
            assert (f"/run/secrets/{secret}" in told) == (secret in service.get("secrets", [])), (
                name,
                secret,
            )


def test_dependencies_exist_and_can_become_healthy() -> None:
    """Whoever waits for health waits for something that has a check; nobody waits in a circle."""
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            checked = "test" in SERVICES[name].get("healthcheck", {})
            assert checked or how["condition"] == "service_completed_successfully"
    waiting = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    while ready := [name for name, others in waiting.items() if not others]:
        waiting = {name: others - set(ready) for name, others in waiting.items() if name not in ready}
    assert not waiting


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_pinned_bounded_and_watched(name: str) -> None:
    """An exact image, limits on memory, processors and processes, bounded logs, a health check."""
    service = SERVICES[name]
    tag = service["image"].rpartition(":")[2]
    assert any(letter.isdigit() for letter in tag)
    assert "latest" not in tag
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]
    assert service["healthcheck"].get("test") or name == "migrate"


def test_only_loopback_is_published() -> None:
    """And of the stores nothing at all."""
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    stores = [name for name, service in SERVICES.items() if service["networks"] == ["stores"]]
    assert READ["networks"]["stores"]["internal"]
    assert {"postgres", "redis", "milvus", "etcd", "object-store"} == set(stores)


@pytest.mark.parametrize("name", OURS)
def test_ours_run_with_little(name: str) -> None:
    """No capabilities, no new ones, nothing written outside the volume and /tmp."""
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    """A misspelt one would be obeyed by nobody."""
    known = _settings()
    for variable in compose.environment(OURS[name]):
        assert variable.removesuffix("_FILE") in known, variable


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours(name: str) -> None:
    """With arguments it understands."""
    command, *arguments = map(str, OURS[name]["command"])
    group = typer.main.get_command(cli.app)
    chosen = group.commands[command]  # type: ignore[attr-defined]
    context = chosen.make_context(command, list(arguments))
    assert context.args == []


def test_the_example_of_settings_is_complete_and_the_default() -> None:
    """Each variable of compose.yaml is in .env.example with the default compose.yaml has, and no other is."""
    found = {v["name"]: v["default"] for v in compose.VARIABLE.finditer(compose.COMPOSE.read_text())}
    given = compose.example()
    assert given.pop("COMPOSE_PROFILES") == "cpu"
    assert found == given


def test_no_password_stands_in_it() -> None:
    """Secrets are files: neither the file nor the example of settings holds one."""
    for path in (compose.COMPOSE, ROOT / ".env.example"):
        for line in path.read_text().splitlines():
            _name, separator, value = line.strip().partition("PASSWORD: ")
            assert not separator or value.startswith("/run/secrets/"), line
    assert not set(compose.example()) & {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "MILVUS_PASSWORD"}
