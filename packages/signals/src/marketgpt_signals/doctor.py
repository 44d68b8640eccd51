"""What ``marketgpt doctor`` asks of the ledger's database."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from marketgpt_core.doctor import Check, Health

_MIN_SQLITE = (3, 35)
_MEND = "use a Python that is built with SQLite 3.35 or later"


def checks() -> Iterator[Check]:
    """Yield the checks."""
    version = Health.OK if sqlite3.sqlite_version_info >= _MIN_SQLITE else Health.FAIL
    yield Check("sqlite", version, sqlite3.sqlite_version, "" if version is Health.OK else _MEND)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with closing(sqlite3.connect(Path(folder) / "doctor.db")) as connection:
                yield _journal(connection)
                yield _features(connection)
        except sqlite3.Error as error:
            yield Check(
                "ledger database", Health.FAIL, f"{folder}: {error}", "free space in the temporary folder"
            )


def _journal(connection: sqlite3.Connection) -> Check:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode == "wal":
        return Check("sqlite write-ahead log", Health.OK, "works: reading never waits for writing")
    mend = "keep ledgers on a local disk: network file systems cannot share a write-ahead log"
    return Check("sqlite write-ahead log", Health.WARN, f"not available here, journal mode {mode}", mend)


def _features(connection: sqlite3.Connection) -> Check:
    try:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        connection.execute("INSERT INTO t (b) VALUES (json_object('k', 1)) RETURNING a").fetchone()
        value = connection.execute("SELECT json_extract(b, '$.k') FROM t").fetchone()[0]
    except sqlite3.Error as error:
        return Check("sqlite features", Health.FAIL, str(error), _MEND)
    if value != 1:
        return Check("sqlite features", Health.FAIL, f"JSON gives {value!r} for 1", _MEND)
    return Check("sqlite features", Health.OK, "JSON and RETURNING work")
