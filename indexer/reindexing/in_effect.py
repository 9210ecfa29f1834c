"""The library's models: which they are, and loading them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session, sessionmaker

from indexer import predictors
from indexer.catalog import annotations, models, reindexes
from indexer.catalog.models import ModelRow
from indexer.catalog.reindexes import Change
from indexer.predictors.versions import identify, load_version
from indexer.published import Kind
from indexer.settings import Settings

if TYPE_CHECKING:
    from indexer.predictors import Captioner, Embedder, ModelIdentity, Tagger

KINDS: tuple[Kind, ...] = ("tagger", "captioner", "embedder")


@dataclass(frozen=True)
class Choice:
    """Models by name and how this machine runs them, as its settings say. They decide for a new library only.

    `own_tags` are sets of one's own tags for the tagger; `installed` is the folder of installed models.
    """

    names: Mapping[Kind, str]
    device: str
    precision: str
    installed: Path | None
    own_tags: Sequence[str] = ()

    def identity(self, kind: Kind, name: str | None = None) -> "ModelIdentity":
        """Who the chosen model of this kind, or another one of this name, would be here.

        Raises:
            UnknownModel, ConfigurationError, CheckpointError: as `predictors.load_tagger`.
        """
        how = predictors.options(self.device, self.installed, self.precision)
        sets = self.own_tags if kind == "tagger" else ()
        return identify(kind, name or self.names[kind], how, sets)


def choice_of(settings: Settings) -> Choice:
    """The models this process's settings name, for a new library, and how they are run here."""
    return Choice(
        names=settings.chosen_models,
        device=settings.device,
        precision=settings.precision,
        installed=settings.models_home,
        own_tags=settings.own_tag_sets,
    )


def settle(
    sessions: sessionmaker[Session], choice: Choice, kinds: Sequence[Kind] = KINDS
) -> dict[Kind, ModelRow]:
    """The models in effect, at least of these kinds; what a new library has none of is chosen now, for good.

    A library of before there were models in effect keeps the ones that spoke of its newest image.

    Raises:
        UnknownModel, ConfigurationError, CheckpointError: a chosen model cannot be used.
    """
    with sessions() as session:
        known = models.in_effect(session)
        earlier = {kind: models.before(session, kind) for kind in kinds if kind not in known}
    if not earlier:
        return known
    new = {kind: choice.identity(kind) for kind, row in earlier.items() if row is None}
    with sessions.begin() as session:
        ids = {kind: row.annotator_id for kind, row in earlier.items() if row is not None}
        for kind, who in new.items():
            ids[kind] = annotations.annotator_id(session, kind, who.name, who.version)
        for kind, annotator_id in ids.items():
            models.settle(session, kind, annotator_id)
        return models.in_effect(session)


def begin(session: Session, choice: Choice, kind: Kind, name: str) -> Change:
    """Begin to change to the model of this name, as this machine's settings run it; or go on with that change.

    Where it is in effect already, what it has not looked at yet is filled.

    Raises:
        UnknownModel, ConfigurationError, CheckpointError: it cannot be used here.
        NameTaken: another change is under way.
    """
    who = choice.identity(kind, name)
    annotator_id = annotations.annotator_id(session, kind, who.name, who.version)
    now = models.in_effect(session).get(kind)
    return reindexes.begin(
        session, kind, annotator_id, switched=now is None or now.annotator_id == annotator_id
    )


def load_tagger(row: ModelRow, choice: Choice) -> "Tagger":
    """The tagger of this row. Raises ModelMissing, CheckpointError, ConfigurationError (device)."""
    return load_version("tagger", row.name, row.version, _device(choice), choice.installed)


def load_captioner(row: ModelRow, choice: Choice) -> "Captioner":
    """The captioner of this row; raises as `load_tagger`."""
    return load_version("captioner", row.name, row.version, _device(choice), choice.installed)


def load_embedder(row: ModelRow, choice: Choice) -> "Embedder":
    """The embedder of this row; raises as `load_tagger`."""
    return load_version("embedder", row.name, row.version, _device(choice), choice.installed)


def _device(choice: Choice) -> str:
    return predictors.resolve_device(choice.device)
