from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from marketgpt_core.errors import DataError, PluginError
from marketgpt_monitoring import readers
from marketgpt_monitoring.sample_ledger import MemoryReader


@pytest.fixture
def install(monkeypatch):
    def put(**targets):
        points = [EntryPoint(name, target, readers.READERS_GROUP) for name, target in targets.items()]
        monkeypatch.setattr(readers, "entry_points", lambda group: points)

    return put


def open_sample(location):
    reader = MemoryReader()
    reader.location = location
    return reader


def open_broken(location):
    raise ValueError("not a database")


def test_the_reader_is_found_through_its_entry_point(install, tmp_path, monkeypatch):
    point = EntryPoint("ledger", "somewhere:open", readers.READERS_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: open_sample)
    monkeypatch.setattr(readers, "entry_points", lambda group: [point, point])
    (tmp_path / "ledger.db").touch()
    assert readers.open_ledger(str(tmp_path / "ledger.db")).location == str(tmp_path / "ledger.db")
    assert readers.open_ledger("postgresql://db/signals").location == "postgresql://db/signals"


def test_without_the_signals_package_it_says_what_to_install(install, tmp_path):
    install()
    with pytest.raises(PluginError, match="pip install marketgpt-signals"):
        readers.open_ledger(str(tmp_path))


def test_a_broken_reader_is_named(install, tmp_path):
    install(ledger="no_such_module_here:open")
    with pytest.raises(PluginError, match=r"\(no_such_module_here:open\) cannot be loaded: ModuleNotFound"):
        readers.open_ledger(str(tmp_path))


def test_what_is_no_ledger_is_the_users_mistake(tmp_path, monkeypatch):
    point = EntryPoint("ledger", "somewhere:open", readers.READERS_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: open_broken)
    monkeypatch.setattr(readers, "entry_points", lambda group: [point])
    with pytest.raises(DataError, match="cannot be opened as a ledger: ValueError: not a database"):
        readers.open_ledger(str(tmp_path))


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(DataError, match="no ledger at"):
        readers.open_ledger(str(tmp_path / "typo.db"))
    assert list(tmp_path.iterdir()) == []
