"""Query -> filter (postings) + nearest embeddings -> ranked, explained hits, facets, and where the next page begins.

    resolve names > filter to a set of ids > compose the terms > background > cut-off > nearest > facets > load > why

The filter is exact and comes from Postgres; ranking by meaning is exact too, whatever plan is chosen (`nearest`). What
does not stand out from the query's own background is hidden and counted, never dropped in silence.
"""

from indexer.search.ranking import Semantics
from indexer.search.result import Count, Hit, Request, SearchResult
from indexer.search.searcher import MAX_FACET_LIMIT, MAX_LIMIT, Searcher

__all__ = ["MAX_FACET_LIMIT", "MAX_LIMIT", "Count", "Hit", "Request", "SearchResult", "Searcher", "Semantics"]
