"""Backtests asked for over the API, and the indexes behind the lists of models and outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _key_text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    number, stamp = sa.BigInteger().with_variant(sa.Integer, "sqlite"), _key_text(27)
    op.create_table(
        "jobs",
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("idempotency_key", sa.Text, nullable=True, unique=True),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", stamp, nullable=False),
        sa.Column("started_at", stamp, nullable=True),
        sa.Column("finished_at", stamp, nullable=True),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("seen_at", stamp, nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("result", sa.JSON, nullable=True),
        sa.Column("series", sa.JSON, nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_status", "jobs", ["status"])
    op.create_index("signals_by_model", "signals", ["model_id", "as_of"])
    op.create_index("outcomes_by_entry", "outcomes", ["entry_at"])
    op.execute("UPDATE meta SET value = '4' WHERE key = 'schema_version'")


def losses(connection: sa.Connection) -> dict[str, int]:
    """Return what going below this revision would throw away."""
    return {"jobs": int(connection.execute(sa.text("SELECT count(*) FROM jobs")).scalar_one())}


def downgrade() -> None:
    """Drop them."""
    op.drop_index("outcomes_by_entry", table_name="outcomes")
    op.drop_index("signals_by_model", table_name="signals")
    op.drop_table("jobs")
    op.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")
