"""completions: a SKU is found by how it begins, whatever its case"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WITH = sa.text("external_id IS NOT NULL")


def upgrade() -> None:
    # By bytes: only so a beginning is a range of the index.
    beginning = [sa.literal_column('lower(external_id COLLATE "C")')]
    op.create_index("ix_sources_sku", "sources", beginning, unique=False, postgresql_where=_WITH)


def downgrade() -> None:
    op.drop_index("ix_sources_sku", table_name="sources", postgresql_where=_WITH)
