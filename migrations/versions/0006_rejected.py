"""rejected: pictures to be fetched may come with tags they do not show"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    none = sa.text("'{}'")
    op.add_column(
        "fetches", sa.Column("rejected_tags", ARRAY(sa.Text()), server_default=none, nullable=False)
    )


def downgrade() -> None:
    op.drop_column("fetches", "rejected_tags")
