"""`python -m benchmarks.sizes`: bytes an image takes in Postgres, by table, and how long a backup of it is.

A made-up library of 30 tags an image; embeddings, thumbnails' files and Milvus are not made up from models: their sizes
follow from their dimensions (docs/sizing.md).
"""

import argparse
import tempfile
import time
from pathlib import Path

from sqlalchemy import Engine, text

from benchmarks import tag_library
from indexer import local_stack
from indexer.backup import back_up
from indexer.catalog import connection
from indexer.settings import Settings
from indexer.storage import Storage
from tests.caretaker import cared_for

EMBEDDER = """
    INSERT INTO annotators (id, kind, name, version) OVERRIDING SYSTEM VALUE VALUES (9, 'embedder', 'made-up', '1')
"""
# As random as embeddings are to whoever compresses them.
RANDOM = (
    "(SELECT string_agg(decode(md5(o.id || '.' || n), 'hex'), '') FROM generate_series(1, :bytes / 16) n)"
)
EMBEDDINGS = (
    f"INSERT INTO image_embeddings (image_id, annotator_id, embedding) SELECT id, 9, {RANDOM} FROM images o",
    f"INSERT INTO caption_embeddings (caption_id, annotator_id, embedding) SELECT id, 9, {RANDOM} FROM captions o",
)
SIZES = """
    SELECT relname, pg_total_relation_size(oid), pg_indexes_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC
"""


def fill(engine: Engine, images: int, each: int, dimension: int) -> None:
    """The library, with an embedding of `dimension` float16 for each image and each caption."""
    tag_library.fill(engine, images, 10_000, each)
    with engine.begin() as live:
        live.execute(text("SET session_replication_role = replica"))
        live.execute(text(EMBEDDER))
        for statement in EMBEDDINGS:
            live.execute(text(statement), {"bytes": 2 * dimension})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as live:
        live.execute(text("VACUUM ANALYZE"))


def run(images: int, each: int, dimension: int) -> None:
    """Fill, measure, print as Markdown."""
    with tempfile.TemporaryDirectory(prefix="sightline-sizes-") as folder:
        home = Path(folder) / "home"
        with cared_for(home):
            url = local_stack.endpoints(Settings(home=home)).postgres_url
            connection.migrate(url)
            engine = connection.connect(url)
            fill(engine, images, each, dimension)
            _print(engine, images, each, dimension, Path(folder))
            engine.dispose()


def _print(engine: Engine, images: int, each: int, dimension: int, folder: Path) -> None:
    print(f"# Bytes of {images:,} images in Postgres: {each} tags each, embeddings of {dimension} float16\n")
    print("| table | bytes an image | of these indexes |\n|---|--:|--:|")
    with engine.connect() as live:
        rows = [(name, size / images, index / images) for name, size, index in live.execute(text(SIZES))]
    for name, size, index in rows:
        if size >= 1:
            print(f"| {name} | {size:,.0f} | {index:,.0f} |")
    print(f"| all | {sum(row[1] for row in rows):,.0f} | {sum(row[2] for row in rows):,.0f} |")
    started = time.perf_counter()
    made = back_up(engine, Storage(str(folder / "store")), folder / "backup", originals=False)
    seconds = time.perf_counter() - started
    size = sum(table.bytes for table in made.tables)
    print(
        f"\nA backup of it has {size / images:,.0f} bytes an image, made at {images / seconds:,.0f} images a second."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--tags", type=int, default=30, help="of each image")
    parser.add_argument("--dimension", type=int, default=512)
    chosen = parser.parse_args()
    run(chosen.images, chosen.tags, chosen.dimension)
