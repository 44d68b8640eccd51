"""What signals say of their code and size, backtests and runs; on PostgreSQL guards and sorting by bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from marketgpt_signals.guards import guard, guard_function, unguard, unguard_function

revision = "0002"
down_revision = "0001"

_OLD = ("signals", "outcomes", "events")
# Texts that are sorted, with their lengths.
_SORTED = {
    "signals": {"symbol": 32, "as_of": 27, "interval": 8, "expires_at": 27, "created_at": 27},
    "outcomes": {"entry_at": 27, "exit_at": 27, "resolved_at": 27},
    "events": {"at": 27},
}


def _key_text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _seq() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("seq", number, primary_key=True, autoincrement=True)


def upgrade() -> None:
    """Add them."""
    dialect = op.get_context().dialect.name
    op.add_column(
        "signals", sa.Column("code_revision", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    op.add_column("signals", sa.Column("size", sa.Float, nullable=False, server_default=sa.text("1.0")))
    stamp = _key_text(27)
    op.create_table(
        "backtests",
        _seq(),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("created_at", stamp, nullable=False),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("data_fingerprint", sa.Text, nullable=False),
        sa.Column("first_as_of", stamp, nullable=False),
        sa.Column("last_as_of", stamp, nullable=False),
        sa.Column("code_revision", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_backtests_created_at", "backtests", ["created_at"])
    op.create_table(
        "runs",
        _seq(),
        sa.Column("run_id", sa.Text, nullable=False, unique=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("created_at", stamp, nullable=False),
        sqlite_autoincrement=True,
    )
    guards = guard_function(dialect)
    guards += guard(dialect, "backtests", (("id",), ("seq",))) + guard(
        dialect, "runs", (("run_id",), ("seq",))
    )
    if dialect == "postgresql":
        _retype(sa.BigInteger, "C")
        for table in _OLD:
            guards += guard(dialect, table, ())
    for statement in guards:
        op.execute(statement)
    op.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")


def _retype(number: type[sa.Integer], collation: str) -> None:
    for table, columns in _SORTED.items():
        for name, length in columns.items():
            op.alter_column(table, name, type_=sa.String(length, collation=collation))
    for table in ("signals", "events"):
        op.alter_column(table, "seq", type_=number)
        op.execute(f"ALTER SEQUENCE {table}_seq_seq AS {number().compile(op.get_bind().dialect)}")


def losses(connection: sa.Connection) -> dict[str, int]:
    """Return what going below this revision would throw away."""
    count = "SELECT count(*) FROM "
    found = {
        table: int(connection.execute(sa.text(count + table)).scalar_one()) for table in ("backtests", "runs")
    }
    told = sa.text("SELECT count(*) FROM signals WHERE code_revision <> ''")
    sized = sa.text("SELECT count(*) FROM signals WHERE size <> 1.0")
    return {
        **found,
        "code revisions of signals": int(connection.execute(told).scalar_one()),
        "sizes of signals": int(connection.execute(sized).scalar_one()),
    }


def downgrade() -> None:
    """Remove them."""
    dialect = op.get_context().dialect.name
    for table in ("runs", "backtests"):
        op.drop_table(table)
    if dialect == "postgresql":
        for statement in [one for table in _OLD for one in unguard(dialect, table)]:
            op.execute(statement)
        _retype(sa.Integer, "default")
    for statement in unguard_function(dialect):
        op.execute(statement)
    for column in ("size", "code_revision"):
        op.drop_column("signals", column)
    op.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
