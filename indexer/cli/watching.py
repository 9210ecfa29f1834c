"""`sightline index --watch`: folders kept in the library as they change."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.catalog import gone
from indexer.cli.indexing import Run, new_job, put_together
from indexer.cli.workspace import Workspace, remarks, shown_path
from indexer.errors import ConfigurationError
from indexer.ingest import IMAGE_SUFFIXES
from indexer.watching import News, watch


def begin(paths: Sequence[str]) -> Iterator[News]:
    """Begin to watch folders: whatever happens from now on is news. Raises ConfigurationError for no folder."""
    folders = [Path(path).expanduser().absolute() for path in paths]
    if not folders or not all(folder.is_dir() for folder in folders):
        raise ConfigurationError("--watch watches folders: name one or more, and nothing else.")
    news = watch(folders)
    next(news)
    return news


def follow(workspace: Workspace, news: Iterator[News], collection: str) -> None:
    """Index what comes and say what goes, until Ctrl-C."""
    remarks.print("Watching. Ctrl-C ends it.")
    try:
        for one in news:
            take(workspace, one, collection)
    except KeyboardInterrupt:
        remarks.print("No longer watching.")


def take(workspace: Workspace, news: News, collection: str) -> None:
    """Have what has come looked at, and say so; say what is gone and what becomes of it."""
    come = [path for path in news.come if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if come:
        run = Run(workspace, new_job(workspace), quiet=True, every_file=bool(collection))
        tally = run.register([str(path) for path in come], retry=False)
        put_together(workspace, run.job_id, collection)
        remarks.print(f"{tally.new} new or changed, {tally.unchanged} known, {tally.refused} cannot be used.")
    if news.gone:
        with workspace.sessions.begin() as session:
            noted = gone.note(session, [path.as_uri() for path in news.gone])
        for one in noted:
            becomes = "it is still at another place" if one.elsewhere else "its image stays in the library"
            remarks.print(f"Gone: {shown_path(one.uri)}; {becomes}.", soft_wrap=True)
