"""Opening the ledger's database, and its transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from marketgpt_signals import schema
from marketgpt_signals.errors import LedgerError

BUSY_TIMEOUT_S = 30.0
_PAUSE_S = 0.02
_WRITES = "marketgpt_writes"


class Database:
    """A database that holds a ledger of this schema version.

    Args:
        engine: Where it is.
        name: Its path or URL (without a password), for messages.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    @classmethod
    def open(cls, location: str | Path, *, must_exist: bool = False) -> Database:
        """Open a SQLite file or an SQLAlchemy URL, creating the tables where there are none.

        Raises:
            LedgerError: when it cannot be opened, is something else, or has another schema version.
        """
        path, name = _where(location)
        if path is None:
            database = cls(_server_engine(str(location), name), name)
        else:
            _touch(path, must_exist=must_exist)
            database = cls(_sqlite_engine(path), name)
        database._prepare(must_exist=must_exist)
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection whose queries all see the same state."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection that may write; all of it is committed at the end, or nothing."""
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        try:
            with self._engine.connect() as plain:
                connection = plain.execution_options(**{_WRITES: writes})
                with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise LedgerError(f"cannot use the ledger {self.name}: {_first_line(error.orig)}") from error

    def close(self) -> None:
        """Close what is open."""
        self._engine.dispose()

    def _prepare(self, *, must_exist: bool) -> None:
        with self.read() as connection:
            found = set(inspect(connection).get_table_names())
            version = self._version(connection, found) if found else None
        if version is None:
            if must_exist:
                raise LedgerError(f"{self.name} is not a ledger: it is empty")
            version = self._create()
        if version != str(schema.SCHEMA_VERSION):
            raise LedgerError(
                f"the ledger {self.name} has schema {version!r}; this version reads {schema.SCHEMA_VERSION}"
            )

    def _version(self, connection: Connection, found: set[str]) -> str:
        if not {"meta", "signals"} <= found:
            tables = ", ".join(sorted(found)[:5])
            raise LedgerError(f"{self.name} is a database, but not a ledger: it holds {tables}")
        query = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
        return str(connection.execute(query).scalar())

    def _create(self) -> str:
        with self.write() as connection:
            # Another process may have been first; this one then waited for its lock.
            found = set(inspect(connection).get_table_names())
            if found:
                return self._version(connection, found)
            schema.metadata.create_all(connection)
            version = str(schema.SCHEMA_VERSION)
            connection.execute(insert(schema.meta).values(key="schema_version", value=version))
            return version


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]


def _where(location: str | Path) -> tuple[Path | None, str]:
    """Return (path of a SQLite file or None for a server, name for messages)."""
    if isinstance(location, Path) or "://" not in location:
        return Path(location), str(location)
    try:
        url = make_url(location)
    except ArgumentError:
        raise LedgerError(f"{location!r} is neither a path nor a database URL") from None
    if url.get_backend_name() != "sqlite":
        return None, url.render_as_string(hide_password=True)
    if not url.database or url.database == ":memory:" or url.query:
        raise LedgerError(f"{location!r}: write a SQLite ledger as a path or sqlite:///PATH")
    return Path(url.database), url.database


def _server_engine(url: str, name: str) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except NoSuchModuleError:
        raise LedgerError(f"{name}: SQLAlchemy knows no such database") from None
    except ModuleNotFoundError as error:
        raise LedgerError(f"{name}: its driver is missing: pip install {error.name}") from None


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # The driver opens no transactions of its own: _begin says which kind is wanted.
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _touch(path: Path, *, must_exist: bool) -> None:
    """Make the file if need be, and switch a new one to write-ahead logging: readers never wait."""
    if must_exist and not path.exists():
        raise LedgerError(f"there is no ledger at {path}")
    if path.is_dir():
        raise LedgerError(f"cannot use the ledger {path}: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_connect(path, "rw" if must_exist else "rwc")) as connection:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                _use_write_ahead_log(connection)
    except OSError as error:
        raise LedgerError(f"cannot use the ledger {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise LedgerError(f"cannot use the ledger {path}: {error}") from error


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the journal mode, waiting for whoever does the same.

    SQLite's own timeout does not apply here: of two processes that switch at once, one fails immediately.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _sqlite_engine(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        # mode=rw: a ledger that was deleted is an error, not a new and empty one.
        connection = _connect(path, "rw")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    # A connection a transaction: opening a file is cheap, and nothing is shared across fork or threads.
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    # A reader that turns writer fails at once when another wrote meanwhile, whatever the timeout; taking
    # the write lock at the start makes it wait instead.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
