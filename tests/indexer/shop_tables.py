"""Tables of a shop on their way in and out, and what they leave behind."""

import io
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import hits, jobs
from indexer.errors import AddressRefused
from indexer.importing import Importer
from indexer.manifests import read
from indexer.outcomes import Outcome
from indexer.search import export
from indexer.search.result import Hit, Why
from indexer.tables import Caption, ImageTag, Source
from tests.catalogue import add_indexed

Sessions = sessionmaker[Session]
Import = Callable[..., list[Outcome]]


def importing(sessions: Sessions) -> Import:
    """Imports a table under a job of its own."""

    def run(table: str | bytes, **changes: object) -> list[Outcome]:
        with sessions.begin() as session:
            job_id = jobs.create(session, "import")
        importer = Importer(sessions, job_id, check, **changes)  # type: ignore[arg-type]
        data = table.encode() if isinstance(table, str) else table
        return list(importer.run(read(io.BytesIO(data))))

    return run


def check(url: str) -> None:
    if not url.startswith("https://"):
        raise AddressRefused("only https here")


def shop(sessions: Sessions, *skus: str) -> list[int]:
    """Indexed images of these SKUs, each with a machine's tag and caption."""
    ids = []
    with sessions.begin() as session:
        for sku in skus:
            ids.append(add_indexed(session, {"dress": 0.9}, title=f"IMG {sku}"))
            session.query(Source).filter_by(image_id=ids[-1]).update({"external_id": sku})
    return ids


def hit_of(sessions: Sessions, image_id: int) -> Hit:
    with sessions() as session:
        return Hit(hits.load(session, [image_id])[0], Why())


def exported(sessions: Sessions, ids: list[int], *columns: str) -> str:
    with sessions() as session:
        found = [Hit(view, Why()) for view in hits.load(session, ids)] if ids else []
    return b"".join(export.written(found, "csv", columns)).decode()


def spoken(sessions: Sessions) -> list[tuple[object, ...]]:
    """Everything anybody says: captions, tags, titles."""
    with sessions() as session:
        captions = session.execute(select(Caption.image_id, Caption.annotator_id, Caption.text)).all()
        tags = session.execute(select(ImageTag.image_id, ImageTag.annotator_id, ImageTag.tag_id)).all()
        titles = session.execute(select(Source.image_id, Source.title, Source.external_id)).all()
    return sorted(map(str, [*captions, *tags, *titles]))  # type: ignore[arg-type]
