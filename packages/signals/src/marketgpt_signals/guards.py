"""Triggers that make a database itself refuse to change or remove rows, for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

_FUNCTION = "marketgpt_append_only"


def guard(dialect: str, table: str, keys: Sequence[Sequence[str]]) -> list[str]:
    """Return the statements that make a table append-only.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        table: Its name.
        keys: The columns of each of its unique keys.
    """
    return _sqlite(table, keys) if dialect == "sqlite" else _postgresql(table)


def unguard(dialect: str, table: str) -> list[str]:
    """Return the statements that take the guard of a table away, for a migration down."""
    if dialect == "sqlite":
        return [f"DROP TRIGGER {table}_no_{what}" for what in ("update", "delete", "replace")]
    return [f"DROP TRIGGER {table}_append_only ON {table}"]


def guard_function(dialect: str) -> list[str]:
    """Return the statements that make what all guards of a PostgreSQL database call; nothing for SQLite."""
    if dialect == "sqlite":
        return []
    raise_ = (
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'"
    )
    return [
        f"CREATE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raise_}; END $$",
    ]


def unguard_function(dialect: str) -> list[str]:
    """Return the statements that undo :func:`guard_function`."""
    return [] if dialect == "sqlite" else [f"DROP FUNCTION {_FUNCTION}()"]


def _sqlite(table: str, keys: Sequence[Sequence[str]]) -> list[str]:
    # INSERT OR REPLACE removes the old row without firing a delete trigger, hence the third one.
    pairs = [" AND ".join(f"{name} = NEW.{name}" for name in key) for key in keys]
    same = " OR ".join(f"({pair})" if " AND " in pair else pair for pair in pairs)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    there = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - our own names
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {refuse}",
    ]


def _postgresql(table: str) -> list[str]:
    # By statement: it refuses before a row is looked at, TRUNCATE and ON CONFLICT DO UPDATE included.
    # ALWAYS: also for a session that calls itself a replica.
    name = f"{table}_append_only"
    when = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
    return [
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {_FUNCTION}()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]
