"""nothing lost, nobody in: work, fetches, the outbox to Milvus, models in effect, keys"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATES = "state IN ('pending', 'annotated', 'indexed', 'failed'{})"
NOW = sa.text("now()")
TIME = sa.DateTime(timezone=True)
KINDS = "kind IN ('tagger', 'captioner', 'embedder')"

# Each says which images' embeddings, by which embedder, may now differ from what Milvus holds. In the order of the key,
# so that two transactions wait for each other rather than deadlock.
NOTE = """
CREATE FUNCTION note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO embedding_changes (image_id, annotator_id) {rows} ORDER BY 1, 2
    ON CONFLICT (image_id, annotator_id) DO UPDATE SET change_id = nextval('embedding_changes_change_id_seq');
    RETURN NULL;
END $$
"""
NOTES = {
    "image_embedding_changes": "SELECT DISTINCT image_id, annotator_id FROM changed",
    "caption_embedding_changes": (
        "SELECT DISTINCT c.image_id, changed.annotator_id FROM changed JOIN captions c ON c.id = changed.caption_id"
    ),
    # A caption's embeddings go with it, and can no longer say whose they were.
    "lost_captions": (
        "SELECT DISTINCT image_id, a.id FROM changed CROSS JOIN annotators a WHERE a.kind = 'embedder'"
    ),
}
WATCHED = (
    ("image_embeddings", "INSERT", "NEW", "image_embedding_changes"),
    ("image_embeddings", "UPDATE", "NEW", "image_embedding_changes"),
    ("image_embeddings", "DELETE", "OLD", "image_embedding_changes"),
    ("caption_embeddings", "INSERT", "NEW", "caption_embedding_changes"),
    ("caption_embeddings", "UPDATE", "NEW", "caption_embedding_changes"),
    ("caption_embeddings", "DELETE", "OLD", "caption_embedding_changes"),
    ("captions", "DELETE", "OLD", "lost_captions"),
)


def upgrade() -> None:
    _allow_dead_images()
    _allow_waiting_items()
    op.add_column("sources", sa.Column("title", sa.Text(), nullable=True))
    _create_work()
    _create_fetches()
    _create_outbox()
    _create_models_in_effect()
    _create_shelf()
    _create_doors()


def _allow_dead_images() -> None:
    op.drop_index("ix_images_failed", "images")
    op.drop_constraint(op.f("ck_images_state"), "images")
    op.drop_constraint(op.f("ck_images_error"), "images")
    op.create_check_constraint(op.f("ck_images_state"), "images", STATES.format(", 'dead'"))
    op.create_check_constraint(
        op.f("ck_images_error"), "images", "(state IN ('failed', 'dead')) = (error_code IS NOT NULL)"
    )
    op.create_index(
        "ix_images_failed", "images", ["id"], postgresql_where=sa.text("state IN ('failed', 'dead')")
    )


def _allow_waiting_items() -> None:
    op.drop_constraint(op.f("ck_job_items_outcome"), "job_items")
    op.create_check_constraint(
        op.f("ck_job_items_outcome"), "job_items", "image_id IS NULL OR error_code IS NULL"
    )


def _create_work() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, server_default=NOW, nullable=False),
        sa.Column("seen_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "work",
        sa.Column("image_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        *_waiting(),
        sa.Column("batch_limit", sa.SmallInteger(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_work_image_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_work_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["claimed_by"], ["workers.id"], name=op.f("fk_work_claimed_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_work")),
    )
    op.create_index("ix_work_waiting", "work", ["priority", "image_id"])
    op.create_index(
        "ix_work_claimed_by", "work", ["claimed_by"], postgresql_where=sa.text("claimed_by IS NOT NULL")
    )
    # What was on the road before there was this table.
    op.execute(
        "INSERT INTO work (image_id, priority) SELECT id, 6 FROM images WHERE state IN ('pending', 'annotated')"
    )


def _waiting() -> tuple[sa.Column, ...]:
    return (
        sa.Column("queued_at", TIME, server_default=NOW, nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
    )


def _create_fetches() -> None:
    op.create_table(
        "fetches",
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("collection", sa.Text(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        *_waiting(),
        sa.ForeignKeyConstraint(
            ["job_id", "position"],
            ["job_items.job_id", "job_items.position"],
            name=op.f("fk_fetches_job_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["claimed_by"], ["workers.id"], name=op.f("fk_fetches_claimed_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_fetches")),
    )
    op.create_index("ix_fetches_waiting", "fetches", ["priority", "queued_at"])


def _create_outbox() -> None:
    op.execute("CREATE SEQUENCE embedding_changes_change_id_seq")
    op.create_table(
        "embedding_changes",
        sa.Column("image_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("annotator_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "change_id",
            sa.BigInteger(),
            server_default=sa.text("nextval('embedding_changes_change_id_seq')"),
            nullable=False,
        ),
        sa.Column("queued_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "annotator_id", name=op.f("pk_embedding_changes")),
    )
    op.create_index("ix_embedding_changes_queued_at", "embedding_changes", ["queued_at"])
    for name, rows in NOTES.items():
        op.execute(NOTE.format(name=name, rows=rows))
    for table, event, rows, function in WATCHED:
        op.execute(
            f"CREATE TRIGGER {_trigger(table, event)} AFTER {event} ON {table} REFERENCING {rows} TABLE AS changed "
            f"FOR EACH STATEMENT EXECUTE FUNCTION note_{function}()"
        )
    # Embedded, but Milvus was not told yet.
    op.execute(
        "INSERT INTO embedding_changes (image_id, annotator_id) SELECT e.image_id, e.annotator_id "
        "FROM image_embeddings e JOIN images i ON i.id = e.image_id WHERE i.state = 'annotated'"
    )


def _trigger(table: str, event: str) -> str:
    return f"outbox_{table}_{event.lower()}"


def _create_models_in_effect() -> None:
    op.create_table(
        "models_in_effect",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("annotator_id", sa.SmallInteger(), nullable=False),
        sa.Column("previous_id", sa.SmallInteger(), nullable=True),
        sa.Column("changed_at", TIME, server_default=NOW, nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_models_in_effect_kind")),
        sa.ForeignKeyConstraint(
            ["annotator_id"],
            ["annotators.id"],
            name=op.f("fk_models_in_effect_annotator_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["previous_id"],
            ["annotators.id"],
            name=op.f("fk_models_in_effect_previous_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_models_in_effect")),
    )
    op.create_table(
        "reindexes",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("annotator_id", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", TIME, server_default=NOW, nullable=False),
        sa.Column("filled_at", TIME, nullable=True),
        sa.Column("switched_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("filled_to", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("report", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_reindexes_kind")),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name=op.f("fk_reindexes_annotator_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reindexes")),
    )


def _create_shelf() -> None:
    _shelve("shelved_images")
    _shelve(
        "shelved_tags",
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.REAL(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tag_id"], ["tags.id"], name=op.f("fk_shelved_tags_tag_id"), ondelete="RESTRICT"
        ),
        also_keyed_by=("tag_id",),
    )
    _shelve(
        "shelved_captions",
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("guided_by", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("embedder_id", sa.SmallInteger(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["embedder_id"],
            ["annotators.id"],
            name=op.f("fk_shelved_captions_embedder_id"),
            ondelete="RESTRICT",
        ),
    )


def _shelve(table: str, *more: sa.schema.SchemaItem, also_keyed_by: tuple[str, ...] = ()) -> None:
    op.create_table(
        table,
        sa.Column("annotator_id", sa.SmallInteger(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name=op.f(f"fk_{table}_annotator_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f(f"fk_{table}_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("annotator_id", "image_id", *also_keyed_by, name=op.f(f"pk_{table}")),
    )
    op.create_index(op.f(f"ix_{table}_image_id"), table, ["image_id"])


def _create_doors() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.CheckConstraint("octet_length(key_hash) = 32", name=op.f("ck_api_keys_key_hash")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_api_keys_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )
    op.create_table(
        "answered_requests",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_answered_requests")),
    )
    op.create_index("ix_answered_requests_created_at", "answered_requests", ["created_at"])


def downgrade() -> None:
    for table, event, _, _ in WATCHED:
        op.execute(f"DROP TRIGGER {_trigger(table, event)} ON {table}")
    for name in NOTES:
        op.execute(f"DROP FUNCTION note_{name}()")
    tables = (
        "answered_requests api_keys shelved_captions shelved_tags shelved_images reindexes models_in_effect"
    )
    for table in (*tables.split(), "embedding_changes", "fetches", "work", "workers"):
        op.drop_table(table)
    op.execute("DROP SEQUENCE embedding_changes_change_id_seq")
    op.drop_column("sources", "title")
    # What waits or is dead is refused to the schema of before, with a reason it can hold.
    op.execute(
        "UPDATE job_items SET error_code = 'unreadable', error_message = 'It was never fetched.' "
        "WHERE image_id IS NULL AND error_code IS NULL"
    )
    op.execute("UPDATE images SET state = 'failed' WHERE state = 'dead'")
    op.drop_constraint(op.f("ck_job_items_outcome"), "job_items")
    op.create_check_constraint(
        op.f("ck_job_items_outcome"), "job_items", "(image_id IS NULL) = (error_code IS NOT NULL)"
    )
    op.drop_index("ix_images_failed", "images")
    op.drop_constraint(op.f("ck_images_state"), "images")
    op.drop_constraint(op.f("ck_images_error"), "images")
    op.create_check_constraint(op.f("ck_images_state"), "images", STATES.format(""))
    op.create_check_constraint(
        op.f("ck_images_error"), "images", "(state = 'failed') = (error_code IS NOT NULL)"
    )
    op.create_index("ix_images_failed", "images", ["id"], postgresql_where=sa.text("state = 'failed'"))
