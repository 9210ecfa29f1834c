"""Settings are documented and read as promised."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from indexer.errors import ConfigurationError
from indexer.settings import Settings, get_settings

README = Path(__file__).parent.parent / "README.md"


def _variables(model: type[BaseModel], prefix: str = "SIGHTLINE_") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += _variables(inner, f"{prefix}{name.upper()}__")
        else:
            names.append(prefix + name.upper())
    return names


@pytest.mark.parametrize("variable", _variables(Settings))
def test_every_setting_is_documented(variable: str) -> None:
    """In the README, by the name one sets."""
    assert f"`{variable}`" in README.read_text()


def test_environment_sets_nested_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two underscores lead into a group; passwords do not show."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(tmp_path))
    monkeypatch.setenv("SIGHTLINE_IMAGES__MAX_PIXELS", "1000")
    monkeypatch.setenv("SIGHTLINE_POSTGRES_URL", "postgresql://u:secret@db/x")
    get_settings.cache_clear()
    settings = get_settings()
    get_settings.cache_clear()
    assert (settings.home, settings.images.max_pixels) == (tmp_path, 1000)
    assert settings.storage == str(tmp_path / "store")
    assert "u:secret" not in repr(settings)


def test_a_variable_may_name_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file's text is the value, of settings in groups too; a newline at its end is none of it."""
    (tmp_path / "url").write_text("postgresql://u:secret@db/x\n")
    (tmp_path / "session").write_text("a b\r\n")
    monkeypatch.setenv("SIGHTLINE_POSTGRES_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("SIGHTLINE_ACCESS__SESSION_SECRET_FILE", str(tmp_path / "session"))
    settings = Settings()
    assert settings.postgres_url is not None
    assert settings.postgres_url.get_secret_value() == "postgresql://u:secret@db/x"
    assert settings.access.session_secret is not None
    assert settings.access.session_secret.get_secret_value() == "a b"
    assert "u:secret" not in repr(settings)


def test_files_that_cannot_be_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file that is not there, and a value given both ways, are refused by the variable's name, not by the value."""
    monkeypatch.setenv("SIGHTLINE_MILVUS_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(
        ConfigurationError, match=r"SIGHTLINE_MILVUS_TOKEN_FILE names .*none, which cannot be"
    ):
        Settings()
    monkeypatch.setenv("SIGHTLINE_MILVUS_TOKEN", "hush")
    with pytest.raises(ConfigurationError, match=r"Both SIGHTLINE_MILVUS_TOKEN and .*_FILE") as refusal:
        Settings()
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SIGHTLINE_MODELS": "/big/models", "HF_HOME": "/hf"}, "/big/models"),
        ({"HF_HOME": "/hf"}, "/hf/sightline"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/huggingface/sightline"),
        ({}, str(Path.home() / ".cache/huggingface/sightline")),
    ],
)
def test_models_lie_where_the_hub_keeps_its_cache(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    """Our own variable wins; then Hugging Face's; then the desktop's."""
    for name in ("SIGHTLINE_MODELS", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings().models_home == Path(expected)
