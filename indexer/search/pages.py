"""A whole answer, page by page: nothing of it is held longer than its page."""

from collections.abc import Iterator

from indexer.errors import QueryError
from indexer.query import Query
from indexer.search.result import Hit, Request, SearchResult
from indexer.search.searcher import MAX_LIMIT, Searcher


def pages(searcher: Searcher, query: Query, *, everything: bool = False) -> Iterator[SearchResult]:
    """The pages of an answer, the first even if it is empty; `everything`: also what does not stand out.

    Raises as `Searcher.search`.
    """
    cursor: str | None = None
    while True:
        page = searcher.search(query, Request(MAX_LIMIT, cursor, all=everything))
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def all_hits(searcher: Searcher, query: Query, at_most: int, purpose: str) -> list[Hit]:
    """Every hit of an answer that may be held whole; `purpose` completes "can be ... at once".

    Raises:
        QueryError: it has more than `at_most` hits; and as `Searcher.search`.
    """
    found: list[Hit] = []
    for page in pages(searcher, query):
        if max(page.total.value, len(found) + len(page.hits)) > at_most:
            raise QueryError(
                f"The query finds {page.total.value:,} images, and at most {at_most:,} can be {purpose} at once."
                " Narrow it: add a tag, a date range or a collection."
            )
        found += page.hits
    return found
