"""SIGKILL at random moments, while checkpoints are written too: nothing but the last steps is lost.

``MARKETGPT_KILLS=200 uv run pytest packages/training/tests/test_kills.py -s`` kills as often as one wants.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from marketgpt_training.checkpoints import CheckpointStore
from marketgpt_training.meter import MACHINE_METRICS
from marketgpt_training.pipeline import train

KILLS = int(os.environ.get("MARKETGPT_KILLS", "10"))
EVERY = 2
LONGEST_S = 60.0


def curve(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name not in MACHINE_METRICS} for row in rows]


def logged_steps(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    # The last line may have been cut by the kill.
    found = [line for line in lines if line.startswith(b'{"kind": "step"') and line.endswith(b"}")]
    return json.loads(found[-1])["step"] if found else 0


def start(config, folder, candles):
    """Train in a forked child, which needs no second to import torch."""
    child = os.fork()
    if child:
        return child
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the child's, to its end
    try:
        train(config, folder, candles=candles, resume=True)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a forked child must not come back to pytest
        import traceback

        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(1)


def ended(child, within_s):
    """Return the status of a child that ends in time, else None."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_at_random_moments_it_ends_as_if_never_killed(make_config, candles, tmp_path):
    config = make_config(
        f"checkpoint.every_steps={EVERY}", "loop.max_epochs=6", "loop.patience_epochs=6",
        "evaluation.recalibrate=false",
    )  # fmt: skip
    torch.set_num_threads(1)
    began = time.monotonic()
    train(config, tmp_path / "whole", candles=candles)
    whole_s = time.monotonic() - began
    draw = random.Random(7)
    kills = writing = 0
    runs = 0
    while kills < KILLS:
        folder = tmp_path / f"run{runs}"
        folder.mkdir()
        runs += 1
        while kills < KILLS:
            child = start(config, folder, candles)
            status = ended(child, draw.uniform(0.0, 1.3 * whole_s / 3))
            if status is not None:
                assert status == 0, (folder / "failure.txt").read_text(encoding="utf-8")
                break
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            store = CheckpointStore(folder)
            writing += bool(list(store.path.glob(".*.tmp")))
            checkpoint, wrong = store.newest()
            assert not wrong
            # The one before the one that was being written is whole.
            assert logged_steps(folder) - (checkpoint.step if checkpoint else 0) <= 2 * EVERY
        else:
            child = start(config, folder, candles)
            assert ended(child, LONGEST_S + 10 * whole_s) == 0
        assert curve(folder) == curve(tmp_path / "whole")
        ours, theirs = ((one / "model.safetensors").read_bytes() for one in (folder, tmp_path / "whole"))
        assert ours == theirs
    print(f"\n{kills} kills in {runs} runs, {writing} while a checkpoint was written: every curve the same")
