"""titles: found by their words"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UNSPACED = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
BETWEEN = (
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb-\u00bf"
    r"\u2000-\u206f\u3000-\u3004\u3008-\u303f\uff01-\uff0f\uff1a-\uff20]+"
)
# Lower case, one space around each word: what `indexer.catalog.titles` makes of a pattern.
TEXT = rf"""
CREATE FUNCTION title_text(title text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(
    ' ' || regexp_replace(lower(title), '({UNSPACED})', ' \1 ', 'g') || ' ', '{BETWEEN}', ' ', 'g')
"""
# Without signs, and cut: an entry of an index has an end.
WORDS = """
CREATE FUNCTION title_words(title text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN array_to_tsvector(ARRAY(
    SELECT left(word, 100) FROM string_to_table(title_text(title), ' ') AS word WHERE word <> ''))
"""
_WITH = sa.text("title IS NOT NULL")


def upgrade() -> None:
    op.execute(TEXT)
    op.execute(WORDS)
    op.create_index(
        "ix_images_title",
        "images",
        [sa.literal_column("title_words(title)")],
        unique=False,
        postgresql_using="gin",
        postgresql_where=_WITH,
    )


def downgrade() -> None:
    op.drop_index("ix_images_title", table_name="images", postgresql_where=_WITH)
    op.execute("DROP FUNCTION title_words(text)")
    op.execute("DROP FUNCTION title_text(text)")
