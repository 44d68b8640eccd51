"""SQL over a store: one SELECT on the view ``candles``, by DuckDB, which can reach nothing else.

DuckDB opens exactly the files that the manifests name: every other access to files or the network is switched
off, and so is changing that. Anything but a single SELECT is refused before it runs. Unlike
:meth:`marketgpt_data_sources.store.Store.read` a query does not compare the files with their hashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from marketgpt_core.candles import FIELDS
from marketgpt_core.errors import DataError
from marketgpt_data_sources.store.layout import shelves
from marketgpt_data_sources.store.manifest import one_line, read_manifest

if TYPE_CHECKING:
    import pandas as pd

    from marketgpt_data_sources.store.store import Store

COLUMNS = ("source", "interval", "symbol", "category", "time", *FIELDS)
# Without a time zone, in UTC: most functions of time know no others to the nanosecond.
_STORED = f"symbol, category, (time AT TIME ZONE 'UTC')::TIMESTAMP AS time, {', '.join(FIELDS)}"
_EMPTY = ", ".join(
    [
        *(f"''::VARCHAR AS {name}" for name in COLUMNS[:4]),
        "NULL::TIMESTAMP AS time",
        *(f"0::DOUBLE AS {name}" for name in FIELDS),
    ]
)
_VECTORS_A_CHUNK = 24  # of 2,048 rows
_MEMORY = "2GB"


class Query:
    """A running query; a context manager.

    Args:
        store: The store.
        text: One SELECT (or FROM, WITH, VALUES, DESCRIBE, SUMMARIZE) over ``candles(source, interval, symbol,
            category, time, open, high, low, close, volume)``.

    Raises:
        DataError: for a query that is not one SELECT, that fails, or that reaches for anything else.
    """

    def __init__(self, store: Store, text: str) -> None:
        _check_statement(text)
        try:
            self._connection = _connected(store, text)
        except duckdb.IOException:
            # A writer may have replaced a file since the manifests were read: they then name another.
            with _one_line_errors():
                self._connection = _connected(store, text)

    def __enter__(self) -> Query:
        return self

    def __exit__(self, *raised: object) -> None:
        self._connection.close()

    def frame(self) -> pd.DataFrame:
        """Return all that is left of the result; moments are UTC."""
        with _one_line_errors():
            return self._connection.df()

    def chunks(self) -> Iterator[pd.DataFrame]:
        """Yield the result some fifty thousand rows at a time; the first, which may be empty, in any case."""
        first = True
        while True:
            with _one_line_errors():
                chunk = self._connection.fetch_df_chunk(_VECTORS_A_CHUNK)
            if chunk.empty and not first:
                return
            yield chunk
            first = False


def _check_statement(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError("the query is not UTF-8")
    with _one_line_errors():
        statements = duckdb.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = " and ".join(str(one.type).rpartition(".")[2] for one in statements[:3]) or "nothing"
        raise DataError(f"write one SELECT over candles, not {kinds}")


def _connected(store: Store, text: str) -> duckdb.DuckDBPyConnection:
    """Return a connection on which the query runs, its result still to be fetched."""
    view, files = _view(store.root.absolute())
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            # What does not fit fails, instead of filling the machine's memory or the folder we stand in.
            "memory_limit": _MEMORY,
            "temp_directory": "",
        }
    )
    try:
        with _one_line_errors(but=duckdb.IOException):
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET allowed_paths = [{', '.join(map(_quoted, files))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.execute(f"CREATE VIEW candles AS {view}")
            connection.execute(text)
    except BaseException:
        connection.close()
        raise
    return connection


def _view(root: Path) -> tuple[str, list[str]]:
    """Return the SELECT of the view, and the files it reads."""
    parts, files = [f"SELECT {_EMPTY} WHERE false"], []
    for shelf in shelves(root):
        entries = read_manifest(shelf).candles.values()
        paths = [str(shelf.candle_file(one.symbol, one.sha256)) for one in entries]
        if paths:
            patterns = [_literally(path) for path in paths]
            files += sorted({*paths, *patterns})
            named = ", ".join(map(_quoted, patterns))
            parts.append(
                f"SELECT {_quoted(shelf.source)} AS source, {_quoted(shelf.interval)} AS interval, "  # noqa: S608 - quoted
                f"{_STORED} FROM read_parquet([{named}], hive_partitioning = false)"
            )
    return " UNION ALL ".join(parts), files


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literally(path: str) -> str:
    """Return a path in which no character stands for others."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", path)


@contextmanager
def _one_line_errors(but: type[BaseException] | tuple[()] = ()) -> Iterator[None]:
    try:
        yield
    except but:
        raise
    except duckdb.Error as error:
        # What follows the first paragraph shows the query, or says which settings to change: they are locked.
        reason = one_line(str(error).partition("\n\n")[0].partition("\nDatabase is")[0])
        raise DataError(f"the query failed: {reason}") from error
