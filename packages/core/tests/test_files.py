"""Files: the old one or the new one, never half of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketgpt_core import DataError, RunError
from marketgpt_core.files import (
    atomic_path,
    ensure_writable_folder,
    read_json,
    sha256_of,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = write_text(tmp_path / "model.txt", "old")

    def crash() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["model.txt"]


def test_the_new_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a", "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_values_that_json_cannot_hold_leave_the_old_file(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"x": 1})
    for value in (float("nan"), object()):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, {"x": value})
    assert read_json(path) == {"x": 1}
    assert names(tmp_path) == ["a.json"]


def test_folders_are_made_and_keys_keep_their_order(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a" / "b" / "c.json", {"z": "ä", "a": [1.5]})
    assert path.read_text(encoding="utf-8").startswith('{\n  "z": ')
    assert json.loads(path.read_text(encoding="utf-8")) == {"z": "ä", "a": [1.5]}


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    # Tests may run as root, who may write anywhere but below a file.
    blocker = write_text(tmp_path / "file", "")
    with pytest.raises(RunError, match=r"cannot write .*/file/x\.json: File exists"):
        write_json(blocker / "x.json", {})
    with pytest.raises(RunError, match=r"cannot write to the folder .*/file/sub: Not a directory"):
        ensure_writable_folder(blocker / "sub")
    with pytest.raises(RunError, match=r"cannot write to the folder .*/file: File exists"):
        ensure_writable_folder(blocker)
    with pytest.raises(RunError, match=r"cannot write .*: Is a directory"):
        write_text(ensure_writable_folder(tmp_path / "folder"), "x")
    with pytest.raises(RunError, match=r"cannot write .*: File name too long"):
        write_text(tmp_path / ("x" * 300), "x")
    assert names(tmp_path) == ["file", "folder"]


def test_a_writable_folder_is_left_empty(tmp_path: Path) -> None:
    folder = ensure_writable_folder(tmp_path / "new" / "folder")
    assert names(folder) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b'{"a": 1} trailing']
)
def test_a_file_that_is_not_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.json is not JSON: "):
        read_json(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.json: No such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        read_json(tmp_path)


def test_sha256(tmp_path: Path) -> None:
    empty = write_text(tmp_path / "empty", "")
    assert sha256_of(empty) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
