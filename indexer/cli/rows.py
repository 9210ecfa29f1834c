"""What commands that take rows share: of manifests, of addresses on the command line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.cli.workspace import Workspace
from indexer.errors import ConfigurationError
from indexer.fetching import Opener
from indexer.importing import Importer, LocalFiles
from indexer.ingest import IMAGE_SUFFIXES
from indexer.manifests import BadRow, Row, read, understood
from indexer.outcomes import Outcome
from indexer.task_queue import FETCH, INDEX, WRITES


@dataclass
class Rows:
    """Takes rows into a job.

    Args:
        workspace: the library.
        job_id: the job; None: a dry run, which changes nothing.
        collection: where pictures of rows that name none are put; "": nowhere.
        refetch: addresses that are known are fetched again.
    """

    workspace: Workspace
    job_id: int | None
    collection: str = ""
    refetch: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    position: int = 0
    told: list[Outcome] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def take_manifest(self, file: Path, root: Path | None = None) -> None:
        """Take a table; its local files lie below `root`, or below the table's own folder.

        Raises:
            ConfigurationError: the file cannot be opened.
            ManifestError: no row of it can be used.
        """
        try:
            opened = file.open("rb")
        except OSError as error:
            raise ConfigurationError(
                f"{file} cannot be read: {error.strerror}. Check that it exists and may be read."
            ) from error
        with opened:
            table = read(opened)
            self.unknown_columns = list(table.passed_over)
            self._take(table, root or file.parent)

    def take_urls(self, urls: Sequence[str]) -> None:
        """Take addresses; one of a store that ends in / stands for all pictures below it."""
        self._take(_addresses(urls, self._opener()), None)

    def _opener(self) -> Opener:
        settings = self.workspace.settings
        return Opener.allowing(settings.fetch, settings.images.max_bytes)

    def _take(self, rows: Iterable[Row | BadRow], root: Path | None) -> None:
        max_bytes = self.workspace.settings.images.max_bytes
        importer = Importer(
            self.workspace.sessions,
            self.job_id,
            self._opener().check,
            None if root is None else LocalFiles(root.absolute(), max_bytes),
            refetch=self.refetch,
            wake=self._wake,
            position=self.position,
        )
        for outcome in importer.run(self._collected(row) for row in rows):
            self._count(outcome)
        self.position = importer.position
        if importer.replaced:
            self.workspace.remover.remove(importer.replaced)
            self.workspace.queue.wake(WRITES)

    def _count(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if self.job_id is None or outcome.status == "refused" or outcome.remark:
            self.told.append(outcome)
        if outcome.status in ("accepted", "fetching"):
            self._numbers[outcome.uri] = outcome.number

    def row_of(self, uri: str) -> int | None:
        """The row by which a picture came that turned out later to be of no use."""
        return self._numbers.get(uri)

    def _collected(self, row: Row | BadRow) -> Row | BadRow:
        if isinstance(row, BadRow) or not self.collection or row.said.collection:
            return row
        return replace(row, said=replace(row.said, collection=self.collection))

    def _wake(self) -> None:
        self.workspace.ensure_worker()
        for queue in (FETCH, INDEX):
            self.workspace.queue.wake(queue)


def _addresses(urls: Sequence[str], opener: Opener) -> Iterator[Row | BadRow]:
    number = 0
    for url in urls:
        below = opener.stores.below(url) if url.endswith("/") and not url.startswith("http") else [url]
        for name in below:
            if name == url or Path(name).suffix.lower() in IMAGE_SUFFIXES:
                number += 1
                yield understood(number, {"url": name})
