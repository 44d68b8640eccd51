"""What every run of the tests shall see of PostgreSQL; the slow ones run the whole suite on it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from marketgpt_core.signal import Outcome, Side
from marketgpt_signals.bulk import insert_rows
from marketgpt_signals.database import Database
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.migrations.migrate import migrate
from marketgpt_signals.records import BacktestRecord, RunRecord
from marketgpt_signals.rows import signal_row
from marketgpt_signals.schema import signals

AT = datetime(2016, 1, 12, tzinfo=UTC)
TABLES = ["signals", "outcomes", "events", "backtests", "runs"]
COLUMNS = {"signals": "side", "outcomes": "net_return", "events": "kind", "backtests": "id", "runs": "path"}


@pytest.fixture(scope="module")
def url(postgres):
    return postgres()


@pytest.fixture
def raw(url):
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def filled(url, make_signal):
    with Ledger.open(url) as ledger:
        ledger.append([make_signal(0), make_signal(1, side=Side.SHORT, probability=0.3)])
        ledger.write_outcomes([Outcome(make_signal(0).id, AT, AT, 1.0, 1.1, 0.1, 0.09, 14.0, None, True, AT)])
        ledger.record_event("retrained", {"fold": 3}, AT)
        ledger.record_run(RunRecord("run", "runs/1", {}, AT))
        ledger.record_backtest(BacktestRecord({}, {}, "f", AT, AT, "0.1.0", AT))
        yield ledger


def test_what_is_written_comes_back(filled, make_signal):
    assert filled.signals()[1] == make_signal(0)
    assert filled.signals(latest=True, min_probability=0.7, limit=5) == [filled.signals()[0]]
    assert filled.resolved()[0][1].hit is None
    assert (filled.symbols(), filled.horizons(), filled.pending()[0][0]) == (["AAA"], [5], "AAA")
    assert filled.append([make_signal(0)]) == 0
    with pytest.raises(LedgerError, match="with another side"):
        filled.append([make_signal(7), make_signal(0, side=Side.FLAT)])
    assert filled.summary().num_signals == 2


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {table}",
        "UPDATE {table} SET {column} = {column}",
        "TRUNCATE {table} CASCADE",
        "INSERT INTO {table} TABLE {table} ON CONFLICT ({key}) DO UPDATE SET {column} = EXCLUDED.{column}",
        "SET session_replication_role = replica; DELETE FROM {table}",
    ],
)
def test_rows_can_be_neither_changed_nor_removed(filled, raw, table, statement):
    import psycopg

    before = raw.execute(f"SELECT * FROM {table}").fetchall()
    assert before
    key = "signal_id" if table == "outcomes" else "seq"
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is append-only"):
        raw.execute(statement.format(table=table, column=COLUMNS[table], key=key))
    assert raw.execute(f"SELECT * FROM {table}").fetchall() == before


def test_the_order_of_writing_is_the_order_of_committing(filled, raw, url, make_signal):
    """Else one who reads on from the last number would miss what a slower writer commits later."""
    database = Database.open(url)
    other = threading.Thread(target=lambda: filled.append([make_signal(9, symbol="SECOND")]))
    with database.write() as connection:
        insert_rows(connection, signals, [signal_row(make_signal(9, symbol="FIRST"))])
        other.start()
        other.join(timeout=0.3)
        assert other.is_alive()  # it waits, though the two are about nothing in common
        assert raw.execute("SELECT count(*) FROM signals WHERE symbol = 'SECOND'").fetchone() == (0,)
    other.join(timeout=30)
    database.close()
    newest = raw.execute("SELECT symbol FROM signals ORDER BY seq DESC LIMIT 2").fetchall()
    assert newest == [("SECOND",), ("FIRST",)]


def test_a_writer_waits_for_a_lock_no_longer_than_told(filled, url, make_signal, monkeypatch):
    monkeypatch.setattr("marketgpt_signals.database.BUSY_TIMEOUT_S", 0.05)
    database = Database.open(url)
    with database.write(), pytest.raises(LedgerError, match="canceling statement due to lock timeout"):
        filled.append([make_signal(10)])
    database.close()
    assert filled.append([make_signal(10)]) == 1


def test_a_ledger_goes_down_and_up_again_with_what_it_holds(postgres, make_signal):
    url = postgres()
    with Ledger.open(url) as ledger:
        ledger.append([make_signal(0)])
    migrate(url, "0001")
    with pytest.raises(LedgerError, match="is at revision 0001, this version needs"):
        Ledger.open(url)
    assert migrate(url).backup is None
    with Ledger.open(url) as ledger:
        assert ledger.signals() == [make_signal(0)]


def test_a_reader_can_insist_that_there_is_one(postgres):
    url = postgres()
    with pytest.raises(LedgerError, match="is not a ledger: it is empty"):
        Ledger.open(url, must_exist=True)
    with pytest.raises(LedgerError, match=r"cannot use the ledger .*/nobody.*: .*does not exist"):
        Ledger.open(url.replace(url.split("/")[3].split("?")[0], "nobody"))
