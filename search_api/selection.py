"""Which images a request means: ids it names, or everything its query finds."""

from indexer import query
from indexer.search.pages import all_hits
from search_api.schemas import Selection
from search_api.schemas.edits import MAX_IMAGES
from search_api.services import Services


def chosen_ids(services: Services, selection: Selection) -> list[int]:
    """Ids of the images meant, each once.

    Raises:
        QueryError: the query cannot be understood, or finds more images than one request may change.
    """
    if selection.images is not None:
        return list(dict.fromkeys(selection.images))
    asked = query.parse(selection.q or "")
    found = all_hits(services.searcher.get(), asked, MAX_IMAGES, "changed")
    return list(dict.fromkeys(hit.image.id for hit in found))
