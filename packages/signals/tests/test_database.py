"""Every way a ledger's place can be wrong gives one line that names it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from marketgpt_signals.errors import LedgerError
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.schema import HEAD


def refusal(location: str | Path, **options: bool) -> str:
    with pytest.raises(LedgerError) as caught:
        Ledger.open(location, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def run(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_new_ledger_is_made_with_its_folders_in_wal_mode(tmp_path):
    path = tmp_path / "deep" / "a b?#%é.db"
    with Ledger.open(path) as ledger:
        assert ledger.symbols() == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_text_path_and_a_sqlite_url_are_the_same_place(tmp_path, make_signal):
    with Ledger.open(str(tmp_path / "x.db")) as ledger:
        ledger.append([make_signal()])
    with Ledger.open(f"sqlite:///{tmp_path}/x.db") as ledger:
        assert ledger.symbols() == ["AAA"]


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but long enough to look at" * 50)
    assert refusal(path) == f"cannot use the ledger {path}: file is not a database"
    assert path.read_text().startswith("no database")


def test_somebody_elses_database_is_left_alone(tmp_path):
    path = tmp_path / "theirs.db"
    run(path, "CREATE TABLE theirs (a)")
    before = path.read_bytes()
    assert refusal(path) == f"{path} is a database, but not a ledger: it holds theirs"
    assert path.read_bytes() == before


def test_another_revision_is_refused_and_told_what_to_do(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    run(path, "UPDATE alembic_version SET version_num = '0002'")
    told = f"run marketgpt signals migrate --ledger {path}"
    assert refusal(path) == f"the ledger {path} is at revision 0002, this version needs {HEAD}: {told}"
    # Before alembic a number said so.
    run(path, "DELETE FROM alembic_version")
    run(path, "UPDATE meta SET value = '1'")
    assert f"is at revision 0001, this version needs {HEAD}" in refusal(path)
    run(path, "UPDATE meta SET value = '7'")
    assert refusal(path) == f"the ledger {path} has schema '7', which no version of ours wrote"


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot use the ledger" in refusal(tmp_path / "file" / "ledger.db")
    assert refusal(tmp_path) == f"cannot use the ledger {tmp_path}: it is a folder"
    assert "cannot use the ledger" in refusal("/proc/ledger.db")


def test_a_reader_can_insist_that_there_is_one(tmp_path):
    path = tmp_path / "ledger.db"
    assert refusal(path, must_exist=True) == f"there is no ledger at {path}"
    assert not path.exists()
    path.touch()
    assert refusal(path, must_exist=True) == f"{path} is not a ledger: it is empty"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///x.db?mode=memory"])
def test_a_ledger_outlives_its_process(url):
    assert "write a SQLite ledger as a path" in refusal(url)


def test_urls_that_lead_nowhere(monkeypatch):
    message = (
        "mysql+pymysql://me:***@host/db: a ledger lives in SQLite (a path) or PostgreSQL (postgresql://...)"
    )
    assert refusal("mysql+pymysql://me:secret@host/db") == message
    assert refusal("://") == "'://' is neither a path nor a database URL"
    told = refusal("postgresql://me:secret@127.0.0.1:1/db")
    assert told.startswith("cannot use the ledger postgresql://me:***@127.0.0.1:1/db: ")
    assert "secret" not in told
    assert "secret" not in refusal("postgresql://me:secret@host:port/db")


def test_postgresql_without_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    told = 'the driver of PostgreSQL is missing: pip install "marketgpt-signals[postgres]"'
    assert refusal("postgresql://me:secret@host/db") == f"postgresql://me:***@host/db: {told}"


def test_a_ledger_that_is_deleted_is_an_error_and_not_a_new_one(sqlite_ledger, make_signal):
    sqlite_ledger.append([make_signal()])
    Path(sqlite_ledger.name).unlink()
    for use in (sqlite_ledger.signals, sqlite_ledger.summary, lambda: sqlite_ledger.append([make_signal(1)])):
        with pytest.raises(LedgerError, match=r"cannot use the ledger .*: unable to open database file"):
            use()
    assert not Path(sqlite_ledger.name).exists()


def test_a_ledger_that_turns_to_rubbish_is_an_error(sqlite_ledger, make_signal):
    sqlite_ledger.append([make_signal()])
    Path(sqlite_ledger.name).write_bytes(b"rubbish" * 1_000)
    with pytest.raises(LedgerError, match="file is not a database"):
        sqlite_ledger.signals()


@pytest.fixture
def kept(tmp_path):
    with Ledger.open(tmp_path / "kept.db", keep_connections=True) as ledger:
        yield ledger


@pytest.mark.parametrize("harm", ["deleted", "replaced"])
def test_kept_connections_notice_another_file(kept, make_signal, harm):
    kept.append([make_signal()])
    file = Path(kept.name)
    if harm == "replaced":
        other = file.with_suffix(".other")
        other.write_bytes(b"rubbish")
        other.replace(file)
    else:
        file.unlink()
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"deleted or replaced while it was open|unable to open"):
            kept.signals()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_opens_its_own_and_closes_none_of_its_parents(kept, make_signal):
    kept.append([make_signal()])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            kept.append([make_signal(symbol="CCC")])
            status = 0 if len(kept.signals()) == 2 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(kept.signals()) == 2
    kept.append([make_signal(symbol="DDD")])
    with closing(sqlite3.connect(kept.name)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_kept_connections_keep_their_locks_while_others_come_and_go(kept, make_signal):
    """Without its locks the last process to leave would throw the log away, and what is in it."""
    code = (
        "import sys, datetime; from marketgpt_signals import Ledger\n"
        "with Ledger.open(sys.argv[1]) as ledger:\n"
        "    ledger.record_event('seen', {}, datetime.datetime.now(datetime.UTC))\n"
    )
    for number in range(3):
        kept.append([make_signal(horizon_bars=number + 1)])
        subprocess.run([sys.executable, "-c", code, kept.name], check=True)
        assert len(kept.signals()) == number + 1
        assert len(kept.events()) == number + 1


def test_a_lock_that_does_not_end_is_one_line(sqlite_ledger, make_signal, monkeypatch):
    monkeypatch.setattr("marketgpt_signals.database.BUSY_TIMEOUT_S", 0.01)
    with closing(sqlite3.connect(sqlite_ledger.name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert sqlite_ledger.signals() == []  # readers never wait
        with pytest.raises(LedgerError, match="database is locked"):
            sqlite_ledger.append([make_signal()])
        other.execute("ROLLBACK")
    assert sqlite_ledger.append([make_signal()]) == 1
