"""How Postgres would carry out a statement."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Step:
    """One node of a plan: what it does, on which table or through which index."""

    kind: str
    table: str | None
    index: str | None


class Plans:
    """Explains, while open, every statement the session sends, and then lets it be carried out."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()
        self.found: list[list[Step]] = []

    def __enter__(self) -> "Plans":
        event.listen(self.connection, "before_cursor_execute", self._explain)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self.connection, "before_cursor_execute", self._explain)

    @property
    def steps(self) -> list[Step]:
        """The steps of the only statement that was sent."""
        assert len(self.found) == 1
        return self.found[0]

    def _explain(self, _: Connection, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
        if not statement.startswith("EXPLAIN"):
            with cursor.connection.cursor() as other:
                other.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                self.found.append(list(_steps(other.fetchone()[0][0]["Plan"])))


def _steps(node: dict[str, Any]) -> Iterator[Step]:
    yield Step(node["Node Type"], node.get("Relation Name"), node.get("Index Name"))
    for child in node.get("Plans", []):
        yield from _steps(child)
