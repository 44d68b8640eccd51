"""Up and down with data in the tables, on both databases; the end of all scripts is what the code expects."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from marketgpt_core.cli.root import main
from marketgpt_core.signal import Outcome, Signal
from marketgpt_signals.api.jobs.store import JobStore
from marketgpt_signals.api.security.keys import Scope
from marketgpt_signals.api.security.store import KeyStore
from marketgpt_signals.database import Database
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.migrations.migrate import head, migrate
from marketgpt_signals.records import BacktestRecord, RunRecord
from marketgpt_signals.schema import HEAD, SCHEMA_VERSION, metadata

AT = datetime(2016, 1, 12, tzinfo=UTC)
REVISIONS = [f"{number:04}" for number in range(1, SCHEMA_VERSION + 1)]
# What a release before alembic wrote, statement by statement (sqlite_master of commit e2120c6).
FIRST_RELEASE = Path(__file__).with_name("first_release.sql")


def fill(ledger: Ledger, make_signal) -> None:
    ledger.append([make_signal(day, symbol=symbol) for day in range(5) for symbol in ("AAA", "BBB")])
    outcome = Outcome(make_signal(0).id, AT, AT, 1.0, 1.1, 0.1, 0.09, 14.0, True, True, AT)
    ledger.write_outcomes([outcome])
    ledger.record_event("retrained", {"fold": 3}, AT)


def content(ledger: Ledger) -> tuple[object, ...]:
    plain = [replace(signal, code_revision="") for signal in ledger.signals()]
    return plain, ledger.resolved(), ledger.events(), ledger.summary().newest.as_of


def shape(location: str) -> object:
    """Return everything the database says of its tables, indexes and triggers."""
    with closing(Database.connect(location)) as database, database.read() as connection:
        if database.path is not None:
            found = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all()
            # A column added later stands at the end of the statement, and the statement keeps its own blanks.
            kept = [row for row in found if row.type in {"trigger", "index"}]
            columns = {
                name: {
                    column["name"]: str(column["type"]) for column in inspect(connection).get_columns(name)
                }
                for name in inspect(connection).get_table_names()
            }
            return sorted(map(str, kept)), columns
        columns = "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default"
        asked = [
            f"{columns} FROM information_schema.columns WHERE table_schema = 'public'",
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger WHERE NOT tgisinternal",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint",
            "SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'marketgpt%'",
            "SELECT sequencename::text, data_type::text FROM pg_sequences",
        ]
        return [sorted(map(str, connection.execute(text(one)).all())) for one in asked]


def old_ledger(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_RELEASE.read_text(encoding="utf-8"))


def test_the_newest_revision_is_what_the_code_expects():
    assert head() == HEAD == REVISIONS[-1]


def test_a_ledger_of_before_alembic_is_refused_then_brought_up_with_all_it_holds(
    tmp_path, make_signal, capsys
):
    path = tmp_path / "old.db"
    old_ledger(path)
    path.chmod(0o600)
    before = path.read_bytes()
    told = f"is at revision 0001, this version needs {HEAD}: run marketgpt signals migrate --ledger {path}"
    with pytest.raises(LedgerError, match=told):
        Ledger.open(path)
    assert path.read_bytes() == before
    with pytest.raises(SystemExit) as stop:
        main(["signals", "migrate", "--ledger", str(path), "--json"])
    assert stop.value.code == 0
    backup = tmp_path / "old.db.0001.backup"
    assert json.loads(capsys.readouterr().out) == {
        "ledger": str(path), "before": "0001", "after": HEAD, "backup": str(backup),
    }  # fmt: skip
    with Ledger.open(path) as ledger:
        assert [signal.id for signal in ledger.signals()] == [make_signal(1).id, make_signal(0).id]
        assert ledger.signals() == [make_signal(1), make_signal(0)]
        assert [outcome.net_return for _, outcome in ledger.resolved()] == [0.0086]
        assert [event.payload for event in ledger.events()] == [{"fold": 3}]
        ledger.append([make_signal(2)])
    fresh = tmp_path / "fresh.db"
    Ledger.open(fresh).close()
    assert shape(str(path)) == shape(str(fresh))
    # The copy is the ledger as it was, for the same eyes, and it alone is left beside it.
    assert backup.stat().st_mode == path.stat().st_mode
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT count(*) FROM signals").fetchone() == (2,)
        assert connection.execute("SELECT value FROM meta").fetchone() == ("1",)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fresh.db", "old.db", "old.db.0001.backup"]


@pytest.mark.parametrize("target", REVISIONS[:-1])
def test_down_and_up_again_loses_nothing(location, make_signal, target):
    with Ledger.open(location) as ledger:
        fill(ledger, make_signal)
        before = content(ledger)
    made = shape(location)
    down = migrate(location, target)
    assert (down.before, down.after) == (HEAD, target)
    with pytest.raises(LedgerError, match=f"is at revision {target}, this version needs {HEAD}"):
        Ledger.open(location)
    with closing(Database.connect(location)) as database, database.read() as connection:
        assert connection.execute(text("SELECT value FROM meta")).scalar() == str(int(target))
    up = migrate(location)
    assert (up.before, up.after) == (target, HEAD)
    assert shape(location) == made
    with Ledger.open(location) as ledger:
        assert content(ledger) == before
        assert ledger.append([make_signal(0), make_signal(99)]) == 1
        assert ledger.record_event("drift", {}, AT).seq == 2


def test_a_way_up_leaves_what_lies_in_the_tables_and_its_keys_open(location, make_signal):
    """Through the revision before keys, with jobs in it."""
    with Ledger.open(location) as ledger:
        fill(ledger, make_signal)
        before = content(ledger)
        job, _ = JobStore(ledger.database, "me").submit({"horizon_bars": 5}, "once", AT)
    migrate(location, "0004")
    migrate(location)
    with Ledger.open(location) as ledger:
        assert content(ledger) == before
        assert JobStore(ledger.database, "me").get(job.id).id == job.id
        store = KeyStore(ledger.database)
        key, _ = store.create("desk", [Scope.READ, Scope.BACKTEST], AT)
        assert store.active(AT) == [key]
    with pytest.raises(LedgerError, match=r"at revision 0004 could not hold 1 API keys; --discard"):
        migrate(location, "0004")
    with Ledger.open(location) as ledger:
        assert KeyStore(ledger.database).active(AT) == [key]
    migrate(location, "0004", discard=True)
    migrate(location)
    with Ledger.open(location) as ledger:
        assert KeyStore(ledger.database).all() == []
        assert content(ledger) == before


def test_the_scripts_end_where_the_tables_of_the_code_are(location):
    Ledger.open(location).close()
    migrate(location, "0001")
    migrate(location)
    with closing(Database.connect(location)) as database, database.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_comparison_would_see_a_difference(tmp_path):
    path = str(tmp_path / "ledger.db")
    Ledger.open(path).close()
    migrate(path, "0002")
    with closing(Database.connect(path)) as database, database.read() as connection:
        missing = compare_metadata(MigrationContext.configure(connection), metadata)
    assert {change[0] for change in missing} == {"add_index", "add_table"}
    assert len(missing) > 5


def test_a_way_down_that_would_lose_something_is_refused_unless_it_is_wanted(location, make_signal):
    said = make_signal(code_revision="0.1.0+abc")
    with Ledger.open(location) as ledger:
        name = ledger.name
        ledger.append([said])
        ledger.record_run(RunRecord("run-1", "runs/1", {"nll": 1.0}, AT))
        ledger.record_backtest(BacktestRecord({"fee_bps": 5}, {"sharpe": 0.1}, "f", AT, AT, "0.1.0", AT))
        ledger.record_event("retrained", {}, AT)
        KeyStore(ledger.database).create("desk", [Scope.READ], AT)
    with pytest.raises(LedgerError) as refused:
        migrate(location, "0001")
    assert str(refused.value) == (
        f"{name} at revision 0001 could not hold 1 API keys, 1 backtests, 1 runs, 1 code revisions of "
        "signals; --discard throws them away"
    )
    with pytest.raises(
        LedgerError, match=r"at revision base could not hold 1 API keys.* 1 signals, 1 events"
    ):
        migrate(location, "base")
    with Ledger.open(location) as ledger:  # as it was
        assert ledger.signals() == [said]
        assert len(ledger.runs()) == len(ledger.backtests()) == 1
    migrate(location, "0001", discard=True)
    migrate(location)
    with Ledger.open(location) as ledger:
        assert ledger.signals() == [replace(said, code_revision="")]
        assert ledger.runs() == ledger.backtests() == []
        assert len(ledger.events()) == 1


def test_down_to_nothing_leaves_a_place_for_a_new_ledger(location, make_signal):
    Ledger.open(location).close()
    assert migrate(location, "base").after == "base"
    with pytest.raises(LedgerError, match="is not a ledger: it is empty"):
        migrate(location)
    with Ledger.open(location) as ledger:
        assert ledger.append([make_signal()]) == 1


def test_nothing_to_do_is_no_copy(tmp_path, capsys):
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    assert migrate(path).backup is None
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]
    with pytest.raises(SystemExit):
        main(["signals", "migrate", "--ledger", str(path)])
    assert capsys.readouterr().out == f"{path} is at revision {HEAD} already\n"


def test_a_migration_that_breaks_half_way_changes_nothing(location, make_signal, monkeypatch):
    with Ledger.open(location) as ledger:
        fill(ledger, make_signal)
        before = content(ledger)
    made = shape(location)

    def broken(connection, before, target):
        connection.execute(text("DROP INDEX signals_by_time"))
        connection.execute(text("UPDATE meta SET value = '1'"))
        raise LedgerError("the power went")

    monkeypatch.setattr("marketgpt_signals.migrations.migrate._run", broken)
    with pytest.raises(LedgerError, match="the power went"):
        migrate(location, "0002")
    assert shape(location) == made
    with Ledger.open(location) as ledger:
        assert content(ledger) == before


def test_copies_are_never_overwritten(tmp_path):
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    first, second = migrate(path, "0002").backup, migrate(path, "0001").backup
    third = migrate(path, "0002").backup
    fourth = migrate(path, "0001").backup
    names = [
        f"ledger.db.{HEAD}.backup",
        "ledger.db.0002.backup",
        "ledger.db.0001.backup",
        "ledger.db.0002-2.backup",
    ]
    assert [one.name for one in (first, second, third, fourth)] == names


def test_what_cannot_be_migrated_is_told_in_a_line(tmp_path):
    def refusal(path: Path, to: str = "head") -> str:
        with pytest.raises(LedgerError) as caught:
            migrate(path, to)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    path = tmp_path / "ledger.db"
    assert refusal(path) == f"there is no ledger at {path}"
    Ledger.open(path).close()
    assert refusal(path, "0009").startswith(
        f"there is no revision '0009'; did you mean '{HEAD}'? known: 0001, 0002"
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    assert refusal(path).endswith(
        "at revision 0099, which this version does not know: update marketgpt-signals"
    )
    theirs = tmp_path / "theirs.db"
    with closing(sqlite3.connect(theirs)) as connection, connection:
        connection.execute("CREATE TABLE theirs (a)")
    assert refusal(theirs) == f"{theirs} is a database, but not a ledger: it holds theirs"


def test_opening_a_ledger_loads_no_alembic(tmp_path):
    code = (
        "import sys; from marketgpt_signals.ledger import Ledger; Ledger.open(sys.argv[1]).close(); "
        "print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "ledger.db")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_old_ledger_holds_what_the_old_release_wrote(make_signal):
    """Guards the fixture: its two signals are those of today's ``make_signal``."""
    written = FIRST_RELEASE.read_text(encoding="utf-8")
    two: list[Signal] = [make_signal(0), make_signal(1)]
    assert all(signal.id in written for signal in two)
