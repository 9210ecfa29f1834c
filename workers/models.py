"""The models of one worker process: those in effect, loaded when they are needed and again when they change."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, preparing
from indexer.catalog.annotations import Annotators
from indexer.catalog.models import ModelRow
from indexer.pipeline import Models
from indexer.predictors import Captioner, Embedder, Tagger
from indexer.published import Kind
from indexer.reindexing import in_effect
from indexer.reindexing.in_effect import Choice

LOOK_S = 1.0  # how often it is asked which models are in effect

Predictor = Tagger | Captioner | Embedder
Loader = Callable[[ModelRow, Choice], Predictor]
_LOADERS: dict[Kind, Loader] = {
    "tagger": in_effect.load_tagger,
    "captioner": in_effect.load_captioner,
    "embedder": in_effect.load_embedder,
}


@dataclass(frozen=True)
class LoadedModels:
    """Models ready to run, and the rows under which they speak: they belong together and change together."""

    models: Models
    annotators: Annotators


class ModelsInEffect:
    """Loads what is in effect, once a process. Safe to share among threads.

    Two versions of a model are in memory only while a batch still holds the one before.
    """

    def __init__(self, sessions: sessionmaker[Session], choice: Choice) -> None:
        self._sessions, self._choice = sessions, choice
        self._lock = threading.Lock()
        self._looked_at = -LOOK_S
        self._rows: dict[Kind, ModelRow] = {}
        self._loaded: LoadedModels | None = None

    def get(self) -> LoadedModels:
        """The models in effect, as of a second ago at most; loads those that are not loaded yet.

        Raises:
            ModelMissing: one is not on this machine; the message says what to do.
            UnknownModel, ConfigurationError, CheckpointError: a chosen model of a new library cannot be used.
            OperationalError: Postgres does not answer.
        """
        with self._lock:
            if self._loaded is None or time.monotonic() - self._looked_at > LOOK_S:
                rows = in_effect.settle(self._sessions, self._choice)
                if self._loaded is None or _ids(rows) != _ids(self._rows):
                    self._loaded = self._load(rows)
                self._rows, self._looked_at = rows, time.monotonic()
            return self._loaded

    def look_again(self) -> None:
        """Have the next `get` ask at once: somebody has found other models in effect."""
        self._looked_at = -LOOK_S

    def unload(self) -> None:
        """Let go of the networks until they are needed again."""
        with self._lock:
            self._loaded = None

    @property
    def loaded(self) -> bool:
        """Whether the networks are in memory."""
        return self._loaded is not None

    def _load(self, rows: dict[Kind, ModelRow]) -> LoadedModels:
        """Networks that have not changed are taken over."""
        before = self._loaded
        changed = {kind for kind in rows if before is None or _ids(rows)[kind] != _ids(self._rows).get(kind)}
        new = {kind: _LOADERS[kind](rows[kind], self._choice) for kind in sorted(changed)}
        found = Models(**new) if before is None else replace(before.models, **new)  # type: ignore[arg-type]
        return LoadedModels(found, self._register(rows, found))

    def _register(self, rows: dict[Kind, ModelRow], models: Models) -> Annotators:
        with self._sessions.begin() as session:
            annotations.save_vocabulary(session, rows["tagger"].annotator_id, models.tagger.vocabulary)
            file = annotations.annotator_id(session, "file", "metadata")
            ids = _ids(rows)
            preparing.note_inputs(session, {ids[kind]: spec.name for kind, spec in models.input_of.items()})
        return Annotators(ids["tagger"], ids["captioner"], ids["embedder"], file)


def _ids(rows: dict[Kind, ModelRow]) -> dict[Kind, int]:
    return {kind: row.annotator_id for kind, row in rows.items()}
