"""did: what an edit did of each tag, so that a list of edits can tell"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("edit_items", sa.Column("did", sa.Text()))
    op.create_check_constraint("did", "edit_items", "did IN ('added', 'rejected', 'cleared')")


def downgrade() -> None:
    op.drop_column("edit_items", "did")
