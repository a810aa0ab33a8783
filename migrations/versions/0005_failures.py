"""Files without speech are remembered as they were, beside those that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("failures", sa.Column("kind", sa.Text, nullable=False, server_default="failed"))
    op.add_column("failures", sa.Column("size", sa.BigInteger))
    op.add_column("failures", sa.Column("mtime_ns", sa.BigInteger))
    op.add_column("failures", sa.Column("sha256", sa.String(64)))
    op.add_column("failures", sa.Column("cut", sa.Text))
    op.create_index("ix_failures_sha256", "failures", ["sha256"])


def downgrade() -> None:
    op.drop_index("ix_failures_sha256", table_name="failures")
    for name in ("cut", "sha256", "mtime_ns", "size", "kind"):
        op.drop_column("failures", name)
