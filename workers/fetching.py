"""The drain that brings what waits to be fetched, as the settings allow."""

from typing import TYPE_CHECKING

from indexer.fetching import Fetcher, Opener
from indexer.removal import Remover
from indexer.task_queue import INDEX, WRITES

if TYPE_CHECKING:
    from workers.runtime import Runtime


def fetcher(runtime: "Runtime") -> Fetcher:
    """What fetches in this process. Raises ConfigurationError for settings that cannot be understood."""
    settings = runtime.settings
    remover = Remover(runtime.sessions, runtime.storage)

    def remove(image_ids: list[int]) -> None:
        remover.remove(image_ids)
        runtime.tell(WRITES)

    return Fetcher(
        runtime.sessions,
        lambda: runtime.presence.worker_id,
        Opener.allowing(settings.fetch, settings.images.max_bytes),
        runtime.storage,
        lambda: runtime.tell(INDEX),
        remove,
    )
