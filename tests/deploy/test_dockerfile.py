"""What the images are made of is there, is locked, and fits compose.yaml."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deploy import compose

DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
SITE = next((ROOT / ".venv").glob("lib/python3*/site-packages"), None)


def _locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Package -> version and hashes."""
    text = (ROOT / name).read_text()
    entries = re.findall(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: (version, frozenset(re.findall(r"sha256:\w+", rest))) for name, version, rest in entries}


def test_every_stage_comes_from_one_before_it() -> None:
    """Or from a Python image of an exact release of Debian."""
    known: set[str] = set()
    for base, name in STAGES:
        assert base in known or base == "python:${PYTHON}"
        known.add(name)
    assert re.search(r"^ARG PYTHON=3\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    for source in re.findall(r"(?:--from=|from=)(\w[\w-]*)", DOCKERFILE):
        assert source in known


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    """.dockerignore lets through what the stages copy, and nothing private."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for path in " ".join(copied).split():
        assert (ROOT / path).exists(), path
        assert path in let_in, path
    assert not {"secrets", ".env", ".git", "tests"} & let_in


def test_what_the_wheel_holds_is_copied() -> None:
    """Every package of pyproject.toml."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    for package in packages["packages"]:
        assert f"COPY {package} {package}\n" in DOCKERFILE


def test_the_images_run_as_an_ordinary_user() -> None:
    """The last word in each is USER; its numbers are those the folder belongs to."""
    for stage in ("cuda", "cpu"):
        body = DOCKERFILE.split(f" AS {stage}\n")[1].split("\nFROM ")[0]
        assert body.strip().splitlines()[-1] == "USER 10001:10001"
    assert "--uid 10001" in DOCKERFILE
    assert STAGES[-1][1] == "cpu"  # what `docker build .` makes


def test_compose_builds_what_there_is() -> None:
    """Each target is a stage; each port probed or published is one exposed."""
    services = compose.ours(compose.load()["services"])
    targets = {service["build"]["target"] for service in services.values()}
    assert targets <= {name for _, name in STAGES}
    probed = set(re.findall(r"127\.0\.0\.1:(\d+)/healthz", str(services)))
    exposed = re.search(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    assert probed == set(exposed[1].split())


def test_what_is_installed_is_locked_by_hash() -> None:
    """All that Sightline needs, in the very versions the tests run with; pip is told to insist."""
    whole, image = _locked("requirements.lock"), _locked("deploy/requirements.lock")
    assert set(image) < set(whole)
    assert all(whole[name] == entry for name, entry in image.items())
    assert all(hashes for _, hashes in image.values())
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[>=<~ ]", line)[0].lower().replace("_", "-") for line in needed}
    assert names <= set(image)
    assert not {"pytest", "ruff", "mypy", "playwright"} & set(image)
    assert DOCKERFILE.count("--require-hashes") == 2
    assert "hatchling" in _locked("deploy/build.lock")


def test_pytorch_of_the_package_index_brings_cuda() -> None:
    """Why the CUDA image needs no CUDA base: on Linux the lock holds NVIDIA's libraries beside PyTorch."""
    image = _locked("deploy/requirements.lock")
    assert {"torch", "nvidia-cudnn-cu13", "nvidia-cublas", "triton"} <= set(image)


@pytest.mark.skipif(SITE is None or not (SITE / "nvidia").is_dir(), reason="PyTorch here has no CUDA")
def test_without_the_files_of_a_gpu_models_still_run(tmp_path: Path) -> None:
    """PyTorch, torchvision and open_clip import and multiply once gpu_files.py has removed what it names."""
    assert SITE is not None
    site = tmp_path / "lib" / SITE.parent.name / "site-packages"
    try:
        subprocess.run(
            ["cp", "-al", SITE / "nvidia", SITE / "torch", SITE / "triton", _made(site)], check=True
        )
    except subprocess.CalledProcessError:
        pytest.skip("the temporary folder is on another disk, so nothing can be linked there")
    removed = subprocess.run(
        [sys.executable, ROOT / "deploy/gpu_files.py", "--remove", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(re.sub(r"\D", "", removed.stderr.split("files,")[1])) > 1_000  # megabytes
    code = "import torch, torchvision, open_clip; x = torch.rand(64, 64); print(torch.__file__, (x @ x).sum() > 0)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(str(site))
    assert (SITE / "triton" / "__init__.py").exists()  # what was removed were links


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
