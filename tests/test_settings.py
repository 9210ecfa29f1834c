"""Settings are documented and read as promised."""

from pathlib import Path

import pytest
from pydantic import BaseModel

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
    assert "secret" not in repr(settings)
