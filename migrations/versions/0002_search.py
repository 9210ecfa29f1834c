"""search: what changed since, collections, saved searches, edits that can be taken back"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What one may search an image by, and the column that names the image.
WATCHED = {
    "images": "id",
    "sources": "image_id",
    "image_tags": "image_id",
    "captions": "image_id",
    "image_embeddings": "image_id",
    "collection_images": "image_id",
}

NOTE_CHANGES = """
CREATE FUNCTION note_image_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO image_changes AS known (image_id, changed_by)
         SELECT DISTINCT %I, pg_current_xact_id()::text::bigint FROM changed ORDER BY 1
         ON CONFLICT (image_id) DO UPDATE SET changed_by = excluded.changed_by
         WHERE known.changed_by <> excluded.changed_by', TG_ARGV[0]);
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.create_index("ix_images_bytes", "images", ["bytes", "id"])
    op.create_table(
        "image_changes",
        sa.Column("image_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changed_by", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_image_changes")),
    )
    op.create_index(
        "ix_image_changes_changed_by", "image_changes", ["changed_by"], postgresql_include=["image_id"]
    )
    _create_collections()
    _create_edits()
    op.execute(NOTE_CHANGES)
    for table, column in WATCHED.items():
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            _watch(table, column, event, rows)
    # A source may move from one image to another: both are changed.
    _watch("sources", "image_id", "UPDATE", "OLD")


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_collections_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("name", name=op.f("uq_collections_name")),
    )
    op.create_table(
        "collection_images",
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("fk_collection_images_collection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_collection_images_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("collection_id", "image_id", name=op.f("pk_collection_images")),
    )
    op.create_index(op.f("ix_collection_images_image_id"), "collection_images", ["image_id"])
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_saved_searches_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
        sa.UniqueConstraint("name", name=op.f("uq_saved_searches_name")),
    )


def _create_edits() -> None:
    op.create_table(
        "edits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edits")),
    )
    op.create_table(
        "edit_items",
        sa.Column("edit_id", sa.BigInteger(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.Column("shown_before", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["edit_id"], ["edits.id"], name=op.f("fk_edit_items_edit_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_edit_items_image_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tag_id"], ["tags.id"], name=op.f("fk_edit_items_tag_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("edit_id", "image_id", "tag_id", name=op.f("pk_edit_items")),
    )
    op.create_index(op.f("ix_edit_items_image_id"), "edit_items", ["image_id"])


def _watch(table: str, column: str, event: str, rows: str) -> None:
    name = f"note_{table}_{event.lower()}_{rows.lower()}"
    op.execute(
        f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} TABLE AS changed "
        f"FOR EACH STATEMENT EXECUTE FUNCTION note_image_changes('{column}')"
    )


def downgrade() -> None:
    for table in WATCHED:
        for suffix in ("insert_new", "update_new", "delete_old"):
            op.execute(f"DROP TRIGGER note_{table}_{suffix} ON {table}")
    op.execute("DROP TRIGGER note_sources_update_old ON sources")
    op.execute("DROP FUNCTION note_image_changes()")
    for table in ("edit_items", "edits", "saved_searches", "collection_images", "collections"):
        op.drop_table(table)
    op.drop_table("image_changes")
    op.drop_index("ix_images_bytes", table_name="images")
