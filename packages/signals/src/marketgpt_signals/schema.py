"""The ledger's tables, and the triggers that make them append-only."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    DDL,
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import ExecutableDDLElement

SCHEMA_VERSION = 1
STAMP_LENGTH = len("2024-12-31T15:30:00.000000Z")


class Stamp(TypeDecorator[datetime]):
    """An aware datetime as fixed-width UTC text: sorts as it reads, and comes back to the microsecond."""

    impl = String(STAMP_LENGTH)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write ``2024-12-31T15:30:00.000000Z``."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a ledger stores aware datetimes, got {value!r}")
        moment = value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read it back, aware, UTC."""
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()

SIGNAL_KEY = ("symbol", "as_of", "horizon_bars", "interval", "model_id", "strategy")

signals = Table(
    "signals",
    metadata,
    # The order of writing: what a cursor or a stream of events resumes from.
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("symbol", String(32), nullable=False),
    Column("as_of", Stamp, nullable=False),
    Column("horizon_bars", Integer, nullable=False),
    Column("interval", String(8), nullable=False),
    Column("side", String(8), nullable=False),
    Column("probability", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("close", Float, nullable=False),
    *(Column(name, Float, nullable=False) for name in ("q05", "q25", "q50", "q75", "q95")),
    Column("expires_at", Stamp, nullable=False),
    Column("created_at", Stamp, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("data_fingerprint", Text, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint(*SIGNAL_KEY, name="one_signal"),
    Index("signals_by_time", "as_of", "seq"),
    sqlite_autoincrement=True,
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("signal_id", String(32), ForeignKey("signals.id"), primary_key=True),
    Column("entry_at", Stamp, nullable=False),
    Column("exit_at", Stamp, nullable=False),
    Column("entry_price", Float, nullable=False),
    Column("exit_price", Float, nullable=False),
    Column("forecast_return", Float, nullable=False),
    Column("net_return", Float, nullable=False),
    Column("cost_bps", Float, nullable=False),
    Column("hit", Boolean, nullable=True),
    Column("inside_90", Boolean, nullable=False),
    Column("resolved_at", Stamp, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("at", Stamp, nullable=False, index=True),
    Column("kind", Text, nullable=False, index=True),
    Column("payload", JSON, nullable=False),
    sqlite_autoincrement=True,
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)


def _guard(table: Table, key: str) -> None:
    """Let SQLite itself refuse to change or remove rows of a table.

    ``INSERT OR REPLACE`` removes the old row without firing a delete trigger, hence the third one.
    """
    name = table.name
    refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
    same = f"EXISTS (SELECT 1 FROM {name} WHERE {key})"  # noqa: S608 - our own names
    statements = [
        f"CREATE TRIGGER {name}_no_update BEFORE UPDATE ON {name} {refuse}",
        f"CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name} {refuse}",
        f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} WHEN {same} {refuse}",
    ]
    for statement in statements:
        trigger: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", trigger.execute_if(dialect="sqlite"))


_SAME_KEY = " AND ".join(f"{name} = NEW.{name}" for name in SIGNAL_KEY)
_guard(signals, f"id = NEW.id OR seq = NEW.seq OR ({_SAME_KEY})")
_guard(outcomes, "signal_id = NEW.signal_id")
_guard(events, "seq = NEW.seq")
