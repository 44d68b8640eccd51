"""The database itself refuses to change what was said, whoever asks and however."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest

from marketgpt_core.signal import Outcome
from marketgpt_signals.records import BacktestRecord, RunRecord
from marketgpt_signals.schema import STAMP_LENGTH, Stamp

COLUMNS = {"signals": "side", "outcomes": "net_return", "events": "kind", "backtests": "id", "runs": "path"}


@pytest.fixture
def raw(sqlite_ledger, make_signal):
    ledger = sqlite_ledger
    signal = make_signal()
    ledger.append([signal])
    at = datetime(2016, 1, 12, tzinfo=UTC)
    ledger.write_outcomes([Outcome(signal.id, at, at, 1.0, 1.1, 0.1, 0.09, 14.0, True, True, at)])
    ledger.record_event("retrained", {"fold": 3}, at)
    ledger.record_run(RunRecord("run", "runs/1", {}, at))
    ledger.record_backtest(BacktestRecord({}, {}, "f", at, at, "0.1.0", at))
    with closing(sqlite3.connect(ledger.name, isolation_level=None)) as connection:
        yield connection


@pytest.mark.parametrize("table", ["signals", "outcomes", "events", "backtests", "runs"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {table}",
        "UPDATE {table} SET {column} = 'x'",
        "UPDATE OR REPLACE {table} SET {column} = 'x'",
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "REPLACE INTO {table} SELECT * FROM {table}",
        "INSERT OR IGNORE INTO {table} SELECT * FROM {table}",
    ],
)
def test_rows_can_be_neither_changed_nor_removed(raw, table, statement):
    before = raw.execute(f"SELECT * FROM {table}").fetchall()
    assert len(before) == 1
    column = COLUMNS[table]
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        raw.execute(statement.format(table=table, column=column))
    assert raw.execute(f"SELECT * FROM {table}").fetchall() == before


def test_a_row_cannot_be_replaced_under_another_id(raw):
    columns = [row[1] for row in raw.execute("PRAGMA table_info(signals)") if row[1] != "seq"]
    values = ", ".join("'other'" if name == "id" else name for name in columns)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(f"INSERT OR REPLACE INTO signals ({', '.join(columns)}) SELECT {values} FROM signals")


def test_an_outcome_needs_its_signal(raw):
    raw.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        raw.execute("INSERT INTO outcomes VALUES ('none', '', '', 1, 1, 0, 0, 0, 1, 1, '')")


def test_stamps_are_fixed_width_utc_and_sort_as_text():
    stamp = Stamp()
    moments = [
        datetime(999, 1, 1, tzinfo=UTC),
        datetime(2016, 1, 4, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2016, 1, 4, 9, 30, tzinfo=timezone(timedelta(hours=-5))),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    texts = [stamp.process_bind_param(moment, None) for moment in moments]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {STAMP_LENGTH}
    assert texts[2] == "2016-01-04T14:30:00.000000Z"
    assert [stamp.process_result_value(text, None) for text in texts] == moments
    with pytest.raises(ValueError, match="aware"):
        stamp.process_bind_param(datetime(2016, 1, 4), None)  # noqa: DTZ001
