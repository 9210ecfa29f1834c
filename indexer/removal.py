"""Images out of the library, with everything that was said of them and the files kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import images
from indexer.storage import Storage

CHUNK = 200  # images in one transaction


@dataclass(frozen=True)
class Remover:
    """Removes images from the catalogue and the store; from Milvus they go by the outbox.

    Files are removed before the transaction ends. Whoever brings the same bytes again meanwhile waits for it when
    registering them, and finds the original gone; dying half-way leaves an image that can be removed again.
    """

    sessions: sessionmaker[Session]
    storage: Storage

    def remove(self, image_ids: Sequence[int], *, originals: bool = True) -> list[int]:
        """Remove images; those there were, ascending. A file in a person's own folder stays where it is.

        Args:
            image_ids: removed in transactions of a few hundred each.
            originals: also remove the originals the store keeps of uploads.

        Raises:
            ServiceUnavailable, OperationalError: a store does not answer; what is not removed yet is all there.
        """
        ids = sorted(set(image_ids))
        parts = (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
        removed: list[int] = []
        for part in parts:
            with self.sessions.begin() as session:
                removed += self.remove_within(session, part, originals=originals)
        return removed

    def remove_within(
        self, session: Session, image_ids: Sequence[int], *, originals: bool = True
    ) -> list[int]:
        """As `remove`, in a transaction that the caller ends, and soon."""
        gone = images.remove(session, image_ids)
        for content_hash in gone.values():
            self.storage.delete(content_hash, original=originals)
        return sorted(gone)
