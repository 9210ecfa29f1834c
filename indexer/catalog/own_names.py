"""Names that people give to what they keep."""

from indexer.errors import NameTaken, QueryError

MAX_NAME = 200


def kept(name: str, what: str) -> str:
    """A name as it is kept: without spaces around it or runs of them in it, 1 to 200 characters.

    Raises:
        QueryError: it is empty or too long; `what` is what it names.
    """
    spelt = " ".join(name.split())
    if not spelt:
        raise QueryError(f"A {what} needs a name.")
    if len(spelt) > MAX_NAME:
        raise QueryError(f"The name has {len(spelt):,} characters; at most {MAX_NAME} are kept.")
    return spelt


def taken(name: str, what: str) -> NameTaken:
    """Another one has the name."""
    return NameTaken(f"There is a {what} called {kept(name, what)!r} already. Choose another name.")
