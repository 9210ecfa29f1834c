"""lost: which changes of embeddings left something behind in Milvus"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Where only something was added, Milvus need not be asked what it holds: that costs it a look at every row there is.
NOTE = """
CREATE OR REPLACE FUNCTION note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO embedding_changes (image_id, annotator_id, lost)
    SELECT rows.*, TG_OP = 'DELETE' FROM ({rows}) AS rows ORDER BY 1, 2
    ON CONFLICT (image_id, annotator_id) DO UPDATE
    SET change_id = nextval('embedding_changes_change_id_seq'), lost = embedding_changes.lost OR excluded.lost;
    RETURN NULL;
END $$
"""
NOTE_BEFORE = """
CREATE OR REPLACE FUNCTION note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
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
    "lost_captions": (
        "SELECT DISTINCT image_id, a.id FROM changed CROSS JOIN annotators a WHERE a.kind = 'embedder'"
    ),
}


def upgrade() -> None:
    # What waits already, and whatever is noted by other ways than a trigger, may have lost something.
    op.add_column(
        "embedding_changes", sa.Column("lost", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    for name, rows in NOTES.items():
        op.execute(NOTE.format(name=name, rows=rows))


def downgrade() -> None:
    for name, rows in NOTES.items():
        op.execute(NOTE_BEFORE.format(name=name, rows=rows))
    op.drop_column("embedding_changes", "lost")
