"""`sightline caption` as a person types it. No server is started for it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer import cli
from indexer.settings import get_settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `sightline caption ...` in a home nothing may be put into; exit status, standard output and error."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIGHTLINE_MODELS", str(tmp_path / "models"))
    get_settings.cache_clear()

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sightline", "caption", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        assert not (tmp_path / "home").exists()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    yield command
    get_settings.cache_clear()


def test_one_line_a_picture(run: Run, photographs: list[Path]) -> None:
    """The captions on standard output, what guided them beside it."""
    status, out, err = run(*photographs[:2])
    assert status == 0
    for line, file in zip(out.splitlines(), photographs, strict=False):
        assert line.startswith(f"{file}: ")
    assert err.count("guided by") == 2


def test_json(run: Run, photographs: list[Path]) -> None:
    """Everything known: who says it, the tags, each candidate's worth; a bad file has its reason in its place."""
    bad = Path(__file__)
    status, out, _ = run(
        photographs[0], bad, photographs[1], "--tags", "dog, frisbee", "--candidates", 3, "--json"
    )
    assert status == 3
    told = json.loads(out)
    assert told["captioner"]["name"] == "small"
    assert [image["file"] for image in told["images"]] == [str(photographs[0]), str(bad), str(photographs[1])]
    first, refused, _ = told["images"]
    assert first["tags"] == ["dog", "frisbee"]
    assert first["unread"] == []
    assert [set(one) for one in first["candidates"]] == [{"text", "log_probability", "score"}] * 3
    assert refused["error"]["code"] == "unsupported_format"


def test_added_and_rejected(run: Run, photographs: list[Path]) -> None:
    """Given tags before recognised ones, less the rejected."""
    _, out, _ = run(photographs[0], "--json")
    seen = json.loads(out)["images"][0]["tags"]
    _, out, _ = run(photographs[0], "--tags", "frisbee", "--add", "--reject", seen[0], "--json")
    assert json.loads(out)["images"][0]["tags"] == ["frisbee", *seen[1:]]


def test_samples_repeat(run: Run, photographs: list[Path]) -> None:
    """With the same seed."""
    asked = (photographs[0], "--sample", "--candidates", 2, "--json", "--seed")
    first, again, other = (run(*asked, seed)[1] for seed in (4, 4, 5))
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--add"], "say which"),
        (["--seed", "3"], "--sample"),
        (["--tags", "dog", "--reject", "dog"], "both given and rejected"),
        (["--reject", "purson"], "Did you mean person"),
    ],
)
def test_what_makes_no_sense_is_explained(
    run: Run, photographs: list[Path], arguments: list[str], message: str
) -> None:
    """In one line, with the next step."""
    status, out, err = run(photographs[0], *arguments)
    assert (status, out) == (1, "")
    assert message in err


def test_too_many_tags_are_named(run: Run, photographs: list[Path]) -> None:
    """Those that were not read."""
    tags = ",".join(f"tag number {number}" for number in range(30))
    _, _, err = run(photographs[0], "--tags", tags)
    assert "tag number 29 (give fewer or shorter tags)" in err
