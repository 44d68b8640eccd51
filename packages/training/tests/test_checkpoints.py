"""Checkpoints on disk: whole or not there."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import torch

from marketgpt_core.errors import RunError
from marketgpt_training.checkpoints import CheckpointStore


def tensors(step, rank=0):
    return {f"weight/{rank}": torch.full((3, 2), float(step)), f"random/{rank}/cpu": torch.arange(4)}


def store_of(folder, **options):
    return CheckpointStore(folder, **options)


def written(folder, *steps, **options):
    store = store_of(folder, **options)
    for step in steps:
        store.save(step, tensors(step), {"at": step})
    store.wait()
    store.close()
    return store


def test_what_was_saved_is_read_and_the_newest_are_kept(tmp_path):
    store = written(tmp_path, 10, 20, 30, keep=2)
    assert store.steps() == [20, 30]
    checkpoint, wrong = store.newest()
    assert (checkpoint.step, checkpoint.state, wrong) == (30, {"at": 30}, [])
    assert set(checkpoint) == {"weight/0", "random/0/cpu"}
    assert checkpoint["weight/0"].equal(torch.full((3, 2), 30.0))
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_ranks_write_parts_and_any_number_reads_them(tmp_path):
    stores = [store_of(tmp_path, rank=rank, world_size=3, token=7) for rank in range(3)]
    for rank, store in reversed(list(enumerate(stores))):
        store.save(5, tensors(5, rank), {"from": rank})
    for store in stores:
        store.close()
        store.wait()
    checkpoint, _ = store_of(tmp_path).newest()
    assert {f"weight/{rank}" for rank in range(3)} <= set(checkpoint)
    assert checkpoint.state == {"from": 0}


def test_a_rank_that_never_writes_leaves_no_checkpoint(tmp_path):
    before = written(tmp_path, 4)
    store = store_of(tmp_path, world_size=2, timeout_s=0.2)
    store.save(5, tensors(5), {})
    with pytest.raises(RunError, match=r"step-00000005: rank 1 has not written.*the one of step 4 is intact"):
        store.wait()
    assert before.steps() == [4]
    assert store.newest()[0].step == 4


@pytest.mark.parametrize("what", ["cut", "changed", "missing", "state", "manifest", "outside"])
def test_a_damaged_one_is_refused_and_the_one_before_taken(tmp_path, what):
    store = written(tmp_path, 1, 2)
    folder = tmp_path / "checkpoints" / "step-00000002"
    part = next(folder.glob("*.safetensors"))
    match what:
        case "cut":
            part.write_bytes(part.read_bytes()[:-1])
        case "changed":
            part.write_bytes(part.read_bytes()[:-1] + b"\x01")
        case "missing":
            part.unlink()
        case "state":
            (folder / "state.json").write_text("{}", encoding="utf-8")
        case "manifest":
            (folder / "manifest.json").write_text("[]", encoding="utf-8")
        case "outside":
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            manifest["files"] = {"../../secret": "0" * 64}
            (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    checkpoint, wrong = store.newest()
    assert checkpoint.step == 1
    assert len(wrong) == 1
    assert "step-00000002" in wrong[0]


def test_what_was_half_written_is_cleared(tmp_path):
    store = written(tmp_path, 1)
    (tmp_path / "checkpoints" / ".step-00000002.99.tmp").mkdir()
    (tmp_path / "checkpoints" / ".step-00000000.old").mkdir()
    store.clear_leftovers()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]


def test_a_full_disk_is_one_clear_line_and_the_old_one_is_intact(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a small file system can only be mounted by root")
    try:
        store = written(folder, 1)
        store = store_of(folder)
        store.save(2, {"weight/0": torch.zeros(1_000_000)}, {})
        with pytest.raises(RunError, match=r"step-00000002: .*[Ss]pace.*; the one of step 1 is intact"):
            store.wait()
        store.close()
        assert store.newest()[0].step == 1
        assert store.newest()[0]["weight/0"].equal(torch.full((3, 2), 1.0))
    finally:
        subprocess.run(["umount", str(folder)], check=True)
