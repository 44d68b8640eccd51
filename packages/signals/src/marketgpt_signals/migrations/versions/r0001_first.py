"""The tables as they were before alembic: signals, outcomes, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketgpt_signals.guards import guard

revision = "0001"
down_revision = None

_STAMP = sa.String(27)
_SIGNAL_KEY = ("symbol", "as_of", "horizon_bars", "interval", "model_id", "strategy")


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _stamps(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _STAMP, nullable=False) for name in names]


def _floats(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Float, nullable=False) for name in names]


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "signals",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("symbol", sa.String(32), nullable=False),
        sa.Column("as_of", _STAMP, nullable=False),
        sa.Column("horizon_bars", sa.Integer, nullable=False),
        sa.Column("interval", sa.String(8), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        *_floats("probability", "confidence", "close", "q05", "q25", "q50", "q75", "q95"),
        *_stamps("expires_at", "created_at"),
        *_texts("strategy", "model_id", "data_fingerprint", "reason"),
        sa.UniqueConstraint(*_SIGNAL_KEY, name="one_signal"),
        sqlite_autoincrement=True,
    )
    op.create_index("signals_by_time", "signals", ["as_of", "seq"])
    op.create_table(
        "outcomes",
        sa.Column("signal_id", sa.String(32), sa.ForeignKey("signals.id"), primary_key=True),
        *_stamps("entry_at", "exit_at"),
        *_floats("entry_price", "exit_price", "forecast_return", "net_return", "cost_bps"),
        sa.Column("hit", sa.Boolean, nullable=True),
        sa.Column("inside_90", sa.Boolean, nullable=False),
        *_stamps("resolved_at"),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        *_stamps("at"),
        *_texts("kind"),
        sa.Column("payload", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_index("ix_events_kind", "events", ["kind"])
    meta = op.create_table(
        "meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.bulk_insert(meta, [{"key": "schema_version", "value": "1"}])
    if op.get_context().dialect.name == "sqlite":  # PostgreSQL had no guards then
        keys = {
            "signals": (("id",), ("seq",), _SIGNAL_KEY),
            "outcomes": (("signal_id",),),
            "events": (("seq",),),
        }
        for table, its_keys in keys.items():
            for statement in guard("sqlite", table, its_keys):
                op.execute(statement)


def losses(connection: sa.Connection) -> dict[str, int]:
    """Return what going below this revision would throw away: everything."""
    count = "SELECT count(*) FROM "
    return {
        table: int(connection.execute(sa.text(count + table)).scalar_one())
        for table in ("signals", "outcomes", "events")
    }


def downgrade() -> None:
    """Drop them."""
    for table in ("meta", "events", "outcomes", "signals"):
        op.drop_table(table)
