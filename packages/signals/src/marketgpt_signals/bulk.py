"""Writing many rows at once, past SQLAlchemy's work for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table

from marketgpt_signals.errors import LedgerError
from marketgpt_signals.schema import Stamp, stamp


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns, none of them JSON.

    SQLite gets them as tuples, PostgreSQL as a COPY stream.

    Args:
        connection: Within a transaction that writes.
        table: Where.
        rows: At least one.

    Raises:
        LedgerError: when the database refuses one.
    """
    names = list(rows[0])
    written = [name for name in names if isinstance(table.c[name].type, Stamp)]
    columns = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, list(_tuples(rows, names, written)))
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in _tuples(rows, names, written):
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise LedgerError(f"cannot write to {table.name}: {str(error).splitlines()[0]}") from error


def _tuples(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], stamps: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    positions = [names.index(name) for name in stamps]
    for row in rows:
        values = list(row.values())
        for position in positions:
            values[position] = stamp(values[position])
        yield tuple(values)
