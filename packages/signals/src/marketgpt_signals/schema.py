"""The ledger's tables at the newest revision, and the triggers that make them append-only.

A new ledger is made from here, an older one is brought here by :mod:`marketgpt_signals.migrations`; a test
compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
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
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from marketgpt_core.signal import Side
from marketgpt_signals.guards import guard, guard_function

# Of alembic, and the number beside it in ``meta``, which releases before alembic look at.
HEAD = "0005"
SCHEMA_VERSION = int(HEAD)
STAMP_LENGTH = len("2024-12-31T15:30:00.000000Z")
DIALECTS = ("sqlite", "postgresql")


def key_text(length: int) -> String:
    """Return the type of a text that is sorted: by bytes, whatever language the server speaks."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


@lru_cache(maxsize=10_000)  # the signals of a day share theirs
def stamp(moment: datetime) -> str:
    """Return ``2024-12-31T15:30:00.000000Z``.

    Raises:
        ValueError: for a naive moment.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a ledger stores aware datetimes, got {moment!r}")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class Stamp(TypeDecorator[datetime]):
    """An aware datetime as fixed-width UTC text: sorts as it reads, and comes back to the microsecond."""

    impl = String(STAMP_LENGTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Sort by bytes everywhere."""
        return dialect.type_descriptor(key_text(STAMP_LENGTH))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write ``2024-12-31T15:30:00.000000Z``."""
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read it back, aware, UTC."""
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()

SIGNAL_KEY = ("symbol", "as_of", "horizon_bars", "interval", "model_id", "strategy")
# What a side has for it, and the least of it that a partial index each helps to find. Written out rather than
# bound, as a database must see at planning that a question fits an index.
OF_SIDE = f"CASE WHEN side = '{Side.SHORT}' THEN 1.0 - probability ELSE probability END"
SURE_PERCENTS = (55, 60, 65, 70, 80, 90)


def sure_at_least(percent: int) -> str:
    """Return the condition of the index of signals whose side has at least so many percent."""
    return f"{OF_SIDE} >= 0.{percent}"


def _seq() -> Column[int]:
    """Return the order of writing: what a cursor or a stream of events resumes from."""
    # SQLite numbers rows by itself only for a key of exactly the type INTEGER.
    number = BigInteger().with_variant(Integer, "sqlite")
    return Column("seq", number, primary_key=True, autoincrement=True)


signals = Table(
    "signals",
    metadata,
    _seq(),
    Column("id", String(32), nullable=False, unique=True),
    Column("symbol", key_text(32), nullable=False),
    Column("as_of", Stamp, nullable=False),
    Column("horizon_bars", Integer, nullable=False),
    Column("interval", key_text(8), nullable=False),
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
    Column("code_revision", Text, nullable=False, server_default=text("''")),
    Column("size", Float, nullable=False, server_default=text("1.0")),
    UniqueConstraint(*SIGNAL_KEY, name="one_signal"),
    Index("signals_by_time", "as_of", "seq"),
    Index("signals_by_horizon", "horizon_bars", "as_of", "seq"),
    Index("signals_by_side", "side", "as_of", "seq"),
    Index("signals_by_model", "model_id", "as_of"),
    Index("signals_by_series", "symbol", "interval", "horizon_bars", "as_of", "seq"),
    *(
        Index(
            f"signals_sure_{percent}",
            "as_of",
            "seq",
            sqlite_where=text(sure_at_least(percent)),
            postgresql_where=text(sure_at_least(percent)),
        )
        for percent in SURE_PERCENTS
    ),
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
    Index("outcomes_by_entry", "entry_at"),
)

events = Table(
    "events",
    metadata,
    _seq(),
    Column("at", Stamp, nullable=False, index=True),
    Column("kind", Text, nullable=False, index=True),
    Column("payload", JSON, nullable=False),
    sqlite_autoincrement=True,
)

backtests = Table(
    "backtests",
    metadata,
    _seq(),
    Column("id", String(32), nullable=False, unique=True),
    Column("created_at", Stamp, nullable=False, index=True),
    Column("config", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("data_fingerprint", Text, nullable=False),
    Column("first_as_of", Stamp, nullable=False),
    Column("last_as_of", Stamp, nullable=False),
    Column("code_revision", Text, nullable=False),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    _seq(),
    Column("run_id", Text, nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Stamp, nullable=False),
    sqlite_autoincrement=True,
)

# Backtests asked for over the API. Their state changes: what came of one for good is a row of ``backtests``.
jobs = Table(
    "jobs",
    metadata,
    _seq(),
    Column("id", String(32), nullable=False, unique=True),
    Column("idempotency_key", Text, nullable=True, unique=True),
    Column("request", JSON, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("created_at", Stamp, nullable=False),
    Column("started_at", Stamp, nullable=True),
    Column("finished_at", Stamp, nullable=True),
    Column("owner", Text, nullable=True),
    Column("seen_at", Stamp, nullable=True),
    Column("reason", Text, nullable=True),
    Column("result", JSON(none_as_null=True), nullable=True),
    Column("series", JSON(none_as_null=True), nullable=True),
    sqlite_autoincrement=True,
)

# Who may ask the API. A key is shown once; what is kept of it cannot be turned back into it.
api_keys = Table(
    "api_keys",
    metadata,
    _seq(),
    Column("id", String(16), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Stamp, nullable=False),
    Column("expires_at", Stamp, nullable=True),
    Column("revoked_at", Stamp, nullable=True),
    sqlite_autoincrement=True,
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Alembic's own table; it makes it itself when it migrates.
revision_table = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), primary_key=True),
)

KEYS: dict[Table, tuple[tuple[str, ...], ...]] = {
    signals: (("id",), ("seq",), SIGNAL_KEY),
    outcomes: (("signal_id",),),
    events: (("seq",),),
    backtests: (("id",), ("seq",)),
    runs: (("run_id",), ("seq",)),
}


def _after_create(target: Table | MetaData, dialect: str, statements: list[str]) -> None:
    for statement in statements:
        ddl: Any = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
        when = "before_create" if isinstance(target, MetaData) else "after_create"
        event.listen(target, when, ddl.execute_if(dialect=dialect))


for _dialect in DIALECTS:
    _after_create(metadata, _dialect, guard_function(_dialect))
    for _table, _keys in KEYS.items():
        _after_create(_table, _dialect, guard(_dialect, _table.name, _keys))
