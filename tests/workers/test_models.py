"""A worker's models are those in effect, loaded once and again when they change."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, models
from indexer.errors import ModelMissing
from indexer.published import Kind
from indexer.reindexing import in_effect
from indexer.reindexing.in_effect import Choice
from tests.catalogue import add_indexed
from tests.other_models import install_other
from workers.models import ModelsInEffect

SMALL: dict[Kind, str] = {"tagger": "small", "captioner": "small", "embedder": "small"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a second embedder."""
    return install_other(tmp_path_factory.mktemp("models"), "embedder")


def _changed(sessions: sessionmaker[Session], choice: Choice, name: str) -> int:
    who = choice.identity("embedder", name)
    with sessions.begin() as session:
        annotator_id = annotations.annotator_id(session, who.kind, who.name, who.version)
        models.hold_still(session)
        models.put_in_effect(session, "embedder", annotator_id)
    return annotator_id


def test_a_change_is_noticed_and_only_it_is_loaded(sessions: sessionmaker[Session], home: Path) -> None:
    """The new embedder comes with its row; tagger and captioner are those that were there."""
    choice = Choice(SMALL, "cpu", "exact", home)
    loading = ModelsInEffect(sessions, choice)
    before = loading.get()
    assert loading.get() is before
    annotator_id = _changed(sessions, choice, "other")
    assert loading.get() is before  # not asked again within a second
    loading.look_again()
    after = loading.get()
    assert after.annotators.embedder == annotator_id
    assert after.models.embedder.identity.name == "other"
    assert after.models.tagger is before.models.tagger
    loading.unload()
    assert loading.get().models.embedder.identity.name == "other"


def test_settings_decide_for_a_new_library_only(sessions: sessionmaker[Session], home: Path) -> None:
    """Whoever opens it first; another setting later changes nothing."""
    first, second = (Choice(SMALL | {"embedder": name}, "cpu", "exact", home) for name in ("other", "small"))
    rows = in_effect.settle(sessions, first)
    assert rows["embedder"].name == "other"
    assert in_effect.settle(sessions, second) == rows


def test_an_old_library_keeps_the_model_that_spoke_last(sessions: sessionmaker[Session], home: Path) -> None:
    """One filled before there were models in effect: by its newest image, not by the settings."""
    with sessions.begin() as session:
        add_indexed(session, {"dog": 0.9})
    rows = in_effect.settle(sessions, Choice(SMALL, "cpu", "exact", home))
    assert {row.name for row in rows.values()} == {"test"}


def test_a_model_that_is_not_here_is_told_each_time(sessions: sessionmaker[Session], home: Path) -> None:
    """And is used as soon as it is."""
    in_effect.settle(sessions, Choice(SMALL | {"embedder": "other"}, "cpu", "exact", home))
    loading = ModelsInEffect(sessions, Choice(SMALL, "cpu", "exact", None))
    for _ in range(2):
        with pytest.raises(ModelMissing, match="sightline reindex --embedder NAME"):
            loading.get()
    assert not loading.loaded
