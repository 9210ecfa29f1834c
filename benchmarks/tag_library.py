"""A made-up library in Postgres: images with dates, sizes and formats, and tags drawn by Zipf's law.

Rows are written by binary COPY with triggers off and indexes dropped, then indexed, vacuumed and analysed: minutes
for a million images of 30 tags each.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sqlalchemy import Connection, Engine, text

DRAWS = 64  # of which the first different ones are an image's tags
CHUNK = 20_000
COLLECTIONS = 30
INDEXES = {
    "pk_image_tags": "ALTER TABLE image_tags ADD CONSTRAINT pk_image_tags PRIMARY KEY (image_id, tag_id, annotator_id)",
    "ix_image_tags_tag_id": (
        "CREATE INDEX ix_image_tags_tag_id ON image_tags (tag_id, image_id)"
        " INCLUDE (confidence, annotator_id, rejected)"
    ),
}
SYLLABLES = (
    "ba",
    "cor",
    "del",
    "fin",
    "gra",
    "hol",
    "jun",
    "kel",
    "lim",
    "mor",
    "nav",
    "pel",
    "ros",
    "sil",
    "tur",
)

IMAGES = """
    INSERT INTO images (id, content_hash, state, bytes, format, width, height, taken_at, indexed_at)
    OVERRIDING SYSTEM VALUE
    SELECT i, sha256(i::text::bytea), CASE WHEN i % 500 = 0 THEN 'annotated' ELSE 'indexed' END,
           (exp(14 + 1.2 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::bigint,
           (ARRAY['jpeg', 'jpeg', 'jpeg', 'jpeg', 'heic', 'heic', 'png', 'webp'])[1 + (random() * 7.99)::int % 8],
           4000, 3000,
           CASE WHEN random() < 0.9
                THEN timestamp '2026-11-01' - (random() ^ 2) * interval '7900 days' END,
           now()
    FROM generate_series(1, :images) i
"""
CAPTIONS = """
    INSERT INTO captions (image_id, annotator_id, text)
    SELECT i, 2, 'a made-up picture with the number ' || i FROM generate_series(1, :images) i
"""
SOURCES = """
    INSERT INTO sources (image_id, kind, uri, bytes, modified_ns)
    SELECT i, 'path', 'file:///photos/' || i % 1000 || '/' || i || '.jpg', 1000, 1 FROM generate_series(1, :images) i
"""
IN_COLLECTIONS = """
    INSERT INTO collection_images
    SELECT c, i FROM generate_series(1, :collections) c, generate_series(1, :images) i WHERE i % (20 * c) = c
"""
ANNOTATORS = """
    INSERT INTO annotators (id, kind, name, version) OVERRIDING SYSTEM VALUE
    VALUES (1, 'tagger', 'made-up', '1'), (2, 'captioner', 'made-up', '1'), (3, 'person', 'you', ''),
           (4, 'file', 'metadata', '')
"""


def fill(engine: Engine, images: int, tags: int, each: int) -> None:
    """Write `images` images (ids from 1) with `each` tags of `tags`, aliases, captions, sources and collections.

    A hundredth of the tag statements are a file's besides, a two-hundredth a person's, a thousandth a rejection.
    """
    with engine.begin() as live:
        live.execute(text("SET session_replication_role = replica"))  # no triggers, no foreign keys
        live.execute(text("SELECT setseed(0.5)"))
        live.execute(text(ANNOTATORS))
        for statement in (IMAGES, CAPTIONS, SOURCES, IN_COLLECTIONS):
            live.execute(text(statement), {"images": images, "collections": COLLECTIONS})
        live.execute(
            text(
                "INSERT INTO collections (id, name) OVERRIDING SYSTEM VALUE"
                " SELECT c, 'album ' || c FROM generate_series(1, :n) c"
            ),
            {"n": COLLECTIONS},
        )
        _insert_tags(live, names(tags))
        live.execute(text("ALTER TABLE image_tags DROP CONSTRAINT pk_image_tags"))
        live.execute(text("DROP INDEX ix_image_tags_tag_id"))
        _copy_tags(live, images, tags, each)
    with engine.begin() as live:
        live.execute(text("SET maintenance_work_mem = '1GB'"))
        for statement in INDEXES.values():
            live.execute(text(statement))
        for table in ("images", "captions", "sources", "collections", "tags", "annotators"):
            live.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as live:
        live.execute(text("VACUUM ANALYZE"))


def names(count: int) -> list[str]:
    """Different made-up names, a third of them of two words; the commonest tags have the shortest."""
    words = ("".join(parts) for parts in _syllables())
    found: list[str] = []
    for number in range(count):
        word = next(words)
        found.append(f"{word} {found[number // 7]}" if number % 3 == 2 else word)
    return found


def _syllables() -> Iterator[tuple[str, ...]]:
    from itertools import product

    for length in range(2, 6):
        yield from product(SYLLABLES, repeat=length)


def _insert_tags(live: Connection, tag_names: Sequence[str]) -> None:
    rows = [{"id": number, "name": name} for number, name in enumerate(tag_names, 1)]
    live.execute(text("INSERT INTO tags (id, name) OVERRIDING SYSTEM VALUE VALUES (:id, :name)"), rows)
    live.execute(
        text(
            "INSERT INTO tag_names SELECT id, language, language || reverse(name)"
            " FROM tags, (VALUES ('de'), ('zh')) AS known (language)"
        )
    )


def _copy_tags(live: Connection, images: int, tags: int, each: int) -> None:
    rng = np.random.default_rng(11)
    driver = live.connection.driver_connection
    assert driver is not None
    statement = (
        "COPY image_tags (image_id, tag_id, annotator_id, confidence, rejected) FROM STDIN (FORMAT BINARY)"
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for start in range(1, images + 1, CHUNK):
            ids = np.arange(start, min(start + CHUNK, images + 1))
            copy.write(_statements(ids, draw(rng, len(ids), tags, each), rng).tobytes())
        copy.write(b"\xff\xff")


def popularity(tags: int) -> np.ndarray:
    """Zipf's law with exponent 1: the probability (tags,) of each tag, falling."""
    weights = 1 / np.arange(1, tags + 1)
    return weights / weights.sum()


def draw(rng: np.random.Generator, images: int, tags: int, each: int) -> np.ndarray:
    """(images, each) different tag ids (from 1) for each image, drawn by popularity."""
    cumulative = np.cumsum(popularity(tags))
    draws = np.minimum(np.searchsorted(cumulative, rng.random((images, DRAWS + 4 * each))), tags - 1)
    order = np.argsort(draws, axis=1, kind="stable")
    ranked = np.take_along_axis(draws, order, axis=1)
    repeated = np.zeros_like(ranked, dtype=bool)
    repeated[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    # Of equal draws the first counts: put repeats last, keep the order of the others.
    place = np.where(repeated, draws.shape[1], order)
    first = np.argsort(place, axis=1, kind="stable")[:, :each]
    return np.take_along_axis(ranked, first, axis=1) + 1


ROW = np.dtype(
    [
        *(("fields", ">i2"), ("n1", ">i4"), ("image_id", ">i8"), ("n2", ">i4"), ("tag_id", ">i4")),
        *(("n3", ">i4"), ("annotator_id", ">i2"), ("n4", ">i4"), ("confidence", ">f4")),
        *(("n5", ">i4"), ("rejected", "u1")),
    ]
)


def _statements(ids: np.ndarray, tags: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tagger's rows of these images, then some by the file and by a person."""
    each = tags.shape[1]
    machine = _rows(np.repeat(ids, each), tags.ravel(), 1, rng.uniform(0.3, 1, tags.size))
    chosen = rng.random(len(machine))
    file, person = machine[chosen < 0.01].copy(), machine[(chosen > 0.01) & (chosen < 0.016)].copy()
    file["annotator_id"], person["annotator_id"] = 4, 3
    person["rejected"] = np.arange(len(person)) % 6 == 0
    file["confidence"], person["confidence"] = 1, 1 - person["rejected"]
    return np.concatenate([machine, file, person]).astype(ROW)  # concatenation forgets the order of bytes


def _rows(image_ids: np.ndarray, tag_ids: np.ndarray, annotator: int, confidence: np.ndarray) -> np.ndarray:
    rows = np.zeros(len(image_ids), ROW)
    rows["fields"] = 5
    for number, size in enumerate((8, 4, 2, 4, 1), 1):
        rows[f"n{number}"] = size
    rows["image_id"], rows["tag_id"], rows["annotator_id"] = image_ids, tag_ids, annotator
    rows["confidence"] = confidence
    return rows
