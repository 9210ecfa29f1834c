"""A worker's part in a change of model."""

from typing import TYPE_CHECKING

from indexer.batching import BatchSize
from indexer.predictors import Embedder
from indexer.reindexing.backfill import Backfill
from indexer.reindexing.in_effect import choice_of
from indexer.reindexing.pixels import PixelReader

if TYPE_CHECKING:
    from workers.runtime import Runtime

SLOTS = 2  # one batch is read or saved while the other is looked at


def backfill(runtime: "Runtime") -> Backfill:
    """Fills with what the worker has: its models in effect, its turn at them, a batch size of its own."""

    def embedder() -> tuple[int, Embedder]:
        loaded = runtime.models.get()
        return loaded.annotators.embedder, loaded.models.embedder

    return Backfill(
        runtime.engine,
        runtime.sessions,
        PixelReader(runtime.storage, runtime.pool),
        choice_of(runtime.settings),
        embedder,
        runtime.stores,
        size=BatchSize(runtime.settings.worker.batch_size),
        turn=lambda: runtime.turn,
        share=runtime.settings.worker.backfill_share,
        rest=runtime.stopping.wait,
    )
