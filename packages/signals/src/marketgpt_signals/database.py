"""Opening the ledger's database, and its transactions."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from marketgpt_signals import schema
from marketgpt_signals.errors import LedgerError

BUSY_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 10
_PAUSE_S = 0.02
_WRITES = "marketgpt_writes"
# Of what is read often: a page of a large ledger is sought by indexes of hundreds of megabytes.
_CACHE_KIB = 65_536
# Each with a cache.
_KEPT = 4
_PARENTS: list[Pool] = []
_POSTGRESQL = ("postgresql", "postgres")
# The lock that writers of one PostgreSQL database queue for; any fixed number of 64 bits will do.
_WRITE_LOCK = 0x6D61726B6574


class Database:
    """A database that holds a ledger of this version's revision.

    Args:
        engine: Where it is.
        name: Its path or URL (without a password), for messages.
        path: Of a SQLite file; None for a server.
    """

    def __init__(self, engine: Engine, name: str, path: Path | None = None) -> None:
        self._engine = engine
        self.name = name
        self.path = path

    @classmethod
    def open(
        cls, location: str | Path, *, must_exist: bool = False, keep_connections: bool = False
    ) -> Database:
        """Open a SQLite file or an SQLAlchemy URL, creating the tables where there are none.

        ``keep_connections``: see :meth:`marketgpt_signals.ledger.Ledger.open`.

        Raises:
            LedgerError: when it cannot be opened, is something else, or is at another revision.
        """
        database = cls.connect(location, must_exist=must_exist, keep_connections=keep_connections)
        try:
            database.prepare(must_exist=must_exist)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def connect(
        cls, location: str | Path, *, must_exist: bool = False, keep_connections: bool = False
    ) -> Database:
        """Open it whatever is in it: for :mod:`marketgpt_signals.migrations`.

        Raises:
            LedgerError: when it cannot be opened.
        """
        place, name = _where(location)
        if isinstance(place, URL):
            return cls(_server_engine(place, name), name)
        _touch(place, must_exist=must_exist)
        return cls(_sqlite_engine(place, keep_connections=keep_connections), name, place)

    @property
    def location(self) -> str:
        """Where it is, as :meth:`open` takes it; of a server with its password, so never to be shown."""
        if self.path is not None:
            return str(self.path.resolve())
        return self._engine.url.render_as_string(hide_password=False)

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
                connection = plain.execution_options(**self._options(writes=writes))
                with connection.begin():
                    yield connection
        except DBAPIError as error:
            raise LedgerError(f"cannot use the ledger {self.name}: {_first_line(error.orig)}") from error

    def close(self) -> None:
        """Close what is open."""
        self._engine.dispose()

    def _options(self, *, writes: bool) -> dict[str, Any]:
        if self.path is None and not writes:
            return {_WRITES: False, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return {_WRITES: writes}

    def revision(self, connection: Connection) -> str | None:
        """Return the revision of the tables; None when there are no tables at all.

        Raises:
            LedgerError: when the database is something else.
        """
        found = set(inspect(connection).get_table_names())
        if not found:
            return None
        if not {"meta", "signals"} <= found:
            tables = ", ".join(sorted(found)[:5])
            raise LedgerError(f"{self.name} is a database, but not a ledger: it holds {tables}")
        if schema.revision_table.name in found:
            stamped = connection.execute(select(schema.revision_table.c.version_num)).scalar()
            if stamped is not None:
                return str(stamped)
        # Before alembic the tables were numbered, and there was but one number.
        query = select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
        number = connection.execute(query).scalar()
        if number != "1":
            raise LedgerError(f"the ledger {self.name} has schema {number!r}, which no version of ours wrote")
        return "0001"

    def prepare(self, *, must_exist: bool = False) -> None:
        """Make the tables where there are none, and refuse those of another revision.

        Raises:
            LedgerError: see :meth:`open`.
        """
        with self.read() as connection:
            revision = self.revision(connection)
        if revision is None:
            if must_exist:
                raise LedgerError(f"{self.name} is not a ledger: it is empty")
            revision = self._create()
        if revision != schema.HEAD:
            # In the middle of somebody's evening is no time to change tables unasked.
            raise LedgerError(
                f"the ledger {self.name} is at revision {revision}, this version needs {schema.HEAD}: "
                f"run marketgpt signals migrate --ledger {self.name}"
            )

    def _create(self) -> str:
        with self.write() as connection:
            # Another process may have been first; this one then waited for its lock.
            there = self.revision(connection)
            if there is not None:
                return there
            schema.metadata.create_all(connection)
            number = {"key": "schema_version", "value": str(schema.SCHEMA_VERSION)}
            connection.execute(insert(schema.meta).values(number))
            schema.revision_table.create(connection)
            connection.execute(insert(schema.revision_table).values(version_num=schema.HEAD))
            return schema.HEAD


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]


def _where(location: str | Path) -> tuple[Path | URL, str]:
    """Return (path of a SQLite file or URL of a server, name for messages)."""
    if isinstance(location, Path) or "://" not in location:
        return Path(location), str(location)
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):  # a port that is no number
        raise LedgerError(f"{location.split('@')[-1]!r} is neither a path nor a database URL") from None
    name = url.render_as_string(hide_password=True)
    if url.get_backend_name() in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg"), name
    if url.get_backend_name() != "sqlite":
        raise LedgerError(f"{name}: a ledger lives in SQLite (a path) or PostgreSQL (postgresql://...)")
    if not url.database or url.database == ":memory:" or url.query:
        raise LedgerError(f"{location!r}: write a SQLite ledger as a path or sqlite:///PATH")
    return Path(url.database), url.database


def _server_engine(url: URL, name: str) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_TIMEOUT_S})
    except ImportError:
        raise LedgerError(
            f'{name}: the driver of PostgreSQL is missing: pip install "marketgpt-signals[postgres]"'
        ) from None
    event.listen(engine, "begin", _begin_on_server)
    return engine


def _begin_on_server(connection: Connection) -> None:
    # Writers queue as they do for a SQLite file: what one looked up stays true until it has written, and
    # the order of writing is the order of committing, so that who reads on from a number misses none.
    if connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(BUSY_TIMEOUT_S * 1000)}")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")


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


def _sqlite_engine(path: Path, *, keep_connections: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        # mode=rw: a ledger that was deleted is an error, not a new and empty one.
        connection = _connect(path, "rw")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    if keep_connections:
        engine = create_engine(
            "sqlite://", creator=connect, poolclass=QueuePool, pool_size=_KEPT, max_overflow=-1
        )
        _refuse_another_file(engine, path)
        _keep_out_of_children(engine)
    else:
        # A connection a transaction: nothing is shared across fork or threads.
        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _refuse_another_file(engine: Engine, path: Path) -> None:
    """Refuse to go on when the file is deleted or another is put in its place.

    The log of the first is still there, and would be written into the second if that were opened.
    """
    first = _identity(path)

    def taken(*_: object) -> None:
        if _identity(path) != first:
            raise sqlite3.OperationalError("the file was deleted or replaced while it was open")

    event.listen(engine, "checkout", taken)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another of the same name; None for no file.

    Never open the file for that: to close it again gives up the locks this process holds on it, and another
    process, which then believes to be the last one, throws the log away under our feet.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _keep_out_of_children(engine: Engine) -> None:
    """Let a forked child open its own: SQLite forbids it to use its parent's, or to close them."""
    kept = weakref.ref(engine)

    def forget() -> None:
        mine = kept()
        if mine is not None:
            _PARENTS.append(mine.pool)
            mine.dispose(close=False)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _begin(connection: Connection) -> None:
    # A reader that turns writer fails at once when another wrote meanwhile, whatever the timeout; taking
    # the write lock at the start makes it wait instead.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
