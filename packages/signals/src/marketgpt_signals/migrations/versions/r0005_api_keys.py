"""API keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _key_text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make their table."""
    number, stamp = sa.BigInteger().with_variant(sa.Integer, "sqlite"), _key_text(27)
    op.create_table(
        "api_keys",
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(16), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", stamp, nullable=False),
        sa.Column("expires_at", stamp, nullable=True),
        sa.Column("revoked_at", stamp, nullable=True),
        sqlite_autoincrement=True,
    )
    op.execute("UPDATE meta SET value = '5' WHERE key = 'schema_version'")


def losses(connection: sa.Connection) -> dict[str, int]:
    """Return what going below this revision would throw away."""
    return {"API keys": int(connection.execute(sa.text("SELECT count(*) FROM api_keys")).scalar_one())}


def downgrade() -> None:
    """Drop it."""
    op.drop_table("api_keys")
    op.execute("UPDATE meta SET value = '4' WHERE key = 'schema_version'")
