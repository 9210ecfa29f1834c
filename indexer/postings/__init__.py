"""What passes a filter, as sets of image ids kept in memory and kept true.

    view = postings.view(session)          # everything committed by now
    ids = view.matching(query.filter)      # a BitMap (CRoaring) of searchable images
    view.facets(query.filter, None, ["tag", "year"])
    view.page(ids, Order("taken"), 50)

Nothing is read before it is asked for. What was read is kept, and corrected by reading the images again that have
changed since (`feed`), so a search after an edit has the edit. One `Postings` serves all threads of a process.

- `feed`: which images have changed
- `memory`: what has been read, and at which revision
- `sets`: sets of ids, and families of them by a field's values
- `view`: the library as one search sees it
- `facets`, `browsing`, `completion`, `confidences`: what is asked of it
"""

from sqlalchemy.orm import Session

from indexer.postings.browsing import Key
from indexer.postings.completion import Completion
from indexer.postings.facets import FIELDS, FacetValue
from indexer.postings.feed import Feed
from indexer.postings.memory import Memory
from indexer.postings.view import View

__all__ = ["FIELDS", "Completion", "FacetValue", "Key", "Postings", "View"]

# Conditions and confidences kept; the sets of all tags are beside these.
KEPT_BYTES = 128 * 2**20


class Postings:
    """Sets of images, kept for one catalogue; safe to share among threads."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._memory = Memory(Feed(), kept_bytes)

    def view(self, session: Session) -> View:
        """The library with everything committed before this call.

        What the session itself has written and not committed is in its view too; such a view keeps nothing.
        """
        revision = self._memory.feed.look(session)
        if revision is None:
            return View(Memory(Feed(), self._memory.limit), session, 0)
        return View(self._memory, session, revision)

    def load(self, session: Session) -> None:
        """Read what facets and completion need, which takes seconds of a large library, before anybody waits for it."""
        view = self.view(session)
        for field in FIELDS:
            view.family(field)
        view.complete("")

    @property
    def bytes_kept(self) -> int:
        """Memory taken by the sets, near enough."""
        return self._memory.size()
