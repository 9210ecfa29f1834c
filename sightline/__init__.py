"""A client of Sightline's API: searching, counting, editing and exporting from Python.

    >>> import sightline
    >>> with sightline.Client("http://localhost:8420") as library:
    ...     for hit in library.search("a dog in snow -tag:cat", limit=10):
    ...         print(hit["score"], hit["image"]["caption"])

`AsyncClient` has the same methods to await. What the server refuses is raised as `Problem`, with all that it says;
`Unreachable` means that no server answered. Only httpx is needed; nothing of the server is imported.
"""

from sightline.asynchronous import AsyncClient
from sightline.errors import Problem, SightlineError, Unreachable
from sightline.synchronous import DEFAULT_URL, Client

__all__ = ["DEFAULT_URL", "AsyncClient", "Client", "Problem", "SightlineError", "Unreachable"]
