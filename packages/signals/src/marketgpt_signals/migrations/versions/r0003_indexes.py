"""The indexes behind each filter of a page of signals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = {
    "signals_by_horizon": ["horizon_bars", "as_of", "seq"],
    "signals_by_side": ["side", "as_of", "seq"],
    "signals_by_series": ["symbol", "interval", "horizon_bars", "as_of", "seq"],
}
_OF_SIDE = "CASE WHEN side = 'SHORT' THEN 1.0 - probability ELSE probability END"
_SURE = {f"signals_sure_{percent}": f"{_OF_SIDE} >= 0.{percent}" for percent in (55, 60, 65, 70, 80, 90)}


def upgrade() -> None:
    """Make them."""
    for name, columns in _COLUMNS.items():
        op.create_index(name, "signals", columns)
    for name, condition in _SURE.items():
        where = sa.text(condition)
        op.create_index(name, "signals", ["as_of", "seq"], sqlite_where=where, postgresql_where=where)
    op.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")


def losses(connection: sa.Connection) -> dict[str, int]:  # noqa: ARG001 - asked of every revision
    """Return what going below this revision would throw away: nothing."""
    return {}


def downgrade() -> None:
    """Drop them."""
    for name in (*_SURE, *_COLUMNS):
        op.drop_index(name, table_name="signals")
    op.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")
