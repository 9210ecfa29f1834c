"""prepared: images decoded ahead by workers without models"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("annotators", sa.Column("input", sa.Text(), nullable=True))
    op.add_column("work", sa.Column("prepared", sa.Text(), nullable=True))
    op.create_index(
        "ix_work_prepared", "work", ["image_id"], postgresql_where=sa.text("prepared IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_work_prepared", "work")
    op.drop_column("work", "prepared")
    op.drop_column("annotators", "input")
