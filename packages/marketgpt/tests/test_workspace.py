from __future__ import annotations

import pytest

from marketgpt.workspace import Workspace
from marketgpt_core.errors import RunError


@pytest.fixture
def full(tmp_path):
    """A folder with everything a demo leaves, and somebody's own files beside it."""
    workspace = Workspace(tmp_path / "demo")
    for folder in (workspace.candles, workspace.run):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_text(folder.name, encoding="utf-8")
    files = ("forecasts.parquet", "ledger.db", "ledger.db-wal", "ledger.db-shm", "backtest.json")
    for name in (*files, "alerts.jsonl", "report.html", "demo.json", "notes.txt"):
        (workspace.folder / name).write_text(name, encoding="utf-8")
    (workspace.folder / "mine").mkdir()
    (workspace.folder / "mine" / "ledger.db").write_text("mine", encoding="utf-8")
    return workspace


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_is_made_and_claimed_twice(tmp_path):
    workspace = Workspace(tmp_path / "a" / "b")
    workspace.claim(overwrite=False)
    workspace.claim(overwrite=False)
    assert list(workspace.folder.iterdir()) == []


def test_somebodys_folder_without_a_demo_is_used_and_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    Workspace(tmp_path).claim(overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_demo_is_refused_by_name_and_left_as_it_is(full):
    before = contents(full.folder)
    with pytest.raises(RunError) as told:
        full.claim(overwrite=False)
    assert str(told.value) == (
        f"{full.folder} already holds a demo (candles, run, forecasts.parquet, ledger.db, backtest.json, "
        "alerts.jsonl, report.html, demo.json); --overwrite replaces it, --out DIR writes elsewhere"
    )
    assert contents(full.folder) == before


def test_checking_changes_nothing(full):
    before = contents(full.folder)
    assert [part.name for part in full.check(overwrite=True)][:2] == ["candles", "run"]
    assert contents(full.folder) == before
    assert Workspace(full.folder / "new").check(overwrite=False) == []
    assert not (full.folder / "new").exists()


def test_only_what_is_there_is_named(tmp_path):
    (tmp_path / "demo.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match=r"already holds a demo \(demo.json\)"):
        Workspace(tmp_path).claim(overwrite=False)


def test_overwrite_removes_only_what_a_demo_writes(full):
    full.claim(overwrite=True)
    left = {str(path): text for path, text in contents(full.folder).items()}
    assert left == {"notes.txt": b"notes.txt", "mine/ledger.db": b"mine"}


def test_a_link_is_removed_and_what_it_points_to_is_not(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("mine", encoding="utf-8")
    workspace = Workspace(tmp_path / "demo")
    workspace.folder.mkdir()
    workspace.run.symlink_to(elsewhere)
    (workspace.folder / "report.html").symlink_to(elsewhere / "gone")
    workspace.claim(overwrite=True)
    assert list(workspace.folder.iterdir()) == []
    assert (elsewhere / "precious").read_text(encoding="utf-8") == "mine"


def test_a_file_as_folder_is_named(tmp_path):
    (tmp_path / "demo").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match=r"demo is a file, not a folder; choose another with --out"):
        Workspace(tmp_path / "demo").claim(overwrite=True)
    with pytest.raises(RunError, match=r"cannot write to the folder .*demo/inside: Not a directory"):
        Workspace(tmp_path / "demo" / "inside").claim(overwrite=True)
    assert (tmp_path / "demo").read_text(encoding="utf-8") == "mine"
