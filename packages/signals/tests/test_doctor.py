from __future__ import annotations

import sqlite3

from marketgpt_core.doctor import Health
from marketgpt_signals import doctor


def test_a_sound_database():
    found = {check.topic: check for check in doctor.checks()}
    assert set(found) == {"sqlite", "sqlite write-ahead log", "sqlite features"}
    assert {check.health for check in found.values()} == {Health.OK}
    assert found["sqlite"].found == sqlite3.sqlite_version


def test_an_old_one_and_a_full_disk(monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 0))
    assert next(iter(doctor.checks())).health is Health.FAIL

    def full(path):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", full)
    last = list(doctor.checks())[-1]
    assert (last.health, last.mend) == (Health.FAIL, "free space in the temporary folder")
    assert "disk is full" in last.found


def test_a_place_without_write_ahead_logs_is_a_warning():
    with sqlite3.connect(":memory:") as connection:
        check = doctor._journal(connection)
    connection.close()
    assert check.health is Health.WARN
    assert "journal mode memory" in check.found
