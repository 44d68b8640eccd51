"""Real processes: killed at any point, and several at once."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_data_sources.store import Store

# Starting a process that has imported everything takes seconds.
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("store_process.py")
KILLED = -9
NUM_LINES = 100
NUM_RANDOM = 120


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("store_process", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Writers:
    """A process that forks the writers asked of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *orders: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(orders)}\n")
        self._process.stdin.flush()

    def answer(self) -> list[dict[str, int]]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def run(self, **order: Any) -> dict[str, int]:
        self.ask(order)
        (end,) = self.answer()
        return end


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Writers(process)
        assert process.stdin is not None
        process.stdin.close()


def _state(script: ModuleType, store: Store) -> tuple[Any, ...]:
    """All a store knows; reading checks every file and candle."""
    manifest = store.manifest(script.NAME, script.DAY)
    rows = store.quarantined(script.NAME, script.DAY)
    candles = store.read(script.NAME)
    return candles.fingerprint(), dict(manifest.candles), dict(manifest.failures), rows.to_json()


@dataclass
class Steps:
    """The steps of the script as they go when nobody is killed.

    Attributes:
        folders: The store before the first step and after each.
        states: All it knows then.
        walked: How many file operations and lines of code each step takes.
    """

    folders: list[Path]
    states: list[tuple[Any, ...]]
    walked: list[dict[str, int]]


@pytest.fixture(scope="module")
def steps(script: ModuleType, writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    folder = tmp_path_factory.mktemp("steps")
    found = Steps([folder / "0"], [_state(script, Store(folder / "0"))], [])
    found.folders[0].mkdir()
    for number in range(len(script.steps())):
        after = folder / str(number + 1)
        shutil.copytree(found.folders[-1], after)
        found.walked.append(writers.run(root=str(after), step=number))
        found.folders.append(after)
        found.states.append(_state(script, Store(after)))
    return found


def test_every_step_changes_something(steps: Steps) -> None:
    assert all(before != after for before, after in itertools.pairwise(steps.states))
    assert [end["status"] for end in steps.walked] == [0] * 9


def _kill_and_go_on(
    script: ModuleType, writers: Writers, steps: Steps, number: int, root: Path, **kill: int
) -> None:
    shutil.copytree(steps.folders[number], root)
    assert writers.run(root=str(root), step=number, **kill)["status"] == KILLED
    store = Store(root, clock=script.CLOCK)
    before, after = steps.states[number : number + 2]
    assert _state(script, store) in (before, after)
    script.steps()[number](store)
    assert _state(script, store) == after
    # Nothing is left of the crash once somebody has written.
    store.touch(script.NAME, script.DAY, "ZZZ", since=None)
    manifest = store.manifest(script.NAME, script.DAY)
    left = Counter(path.suffix for path in root.rglob("*") if path.is_file())
    files = len(manifest.candles) + len(manifest.quarantine)
    assert left == Counter({".parquet": files, ".json": 1, ".lock": 1})


def test_killed_at_every_file_operation(
    script: ModuleType, writers: Writers, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    points = [(step, k + 1) for step, end in enumerate(steps.walked) for k in range(end["operations"])]
    assert len(points) >= 100
    for step, operation in points:
        root = tmp_path / f"{step}-{operation}"
        _kill_and_go_on(script, writers, steps, step, root, kill_at_operation=operation)


def test_killed_between_lines(
    script: ModuleType, writers: Writers, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    points = [(step, k + 1) for step, end in enumerate(steps.walked) for k in range(end["lines"])]
    assert len(points) >= NUM_LINES
    for point in np.linspace(0, len(points) - 1, NUM_LINES).astype(int):
        step, line = points[point]
        root = tmp_path / f"{step}-{line}"
        _kill_and_go_on(script, writers, steps, step, root, kill_at_line=line)


def _check_growth(script: ModuleType, store: Store, returned: dict[str, int]) -> None:
    candles = store.read(script.NAME)
    for symbol, series in candles.items():
        rows = len(series)
        assert returned.get(symbol, 0) <= rows <= returned.get(symbol, 0) + 1
        assert np.array_equal(series.time, script.HISTORY[symbol].time[:rows])
        assert np.array_equal(series.close, script.HISTORY[symbol].close[:rows])
    assert set(returned) <= set(candles)


def test_killed_at_random(script: ModuleType, writers: Writers, tmp_path: Path) -> None:
    draw = random.Random(20240603)
    killed = round_ = 0
    while killed < NUM_RANDOM:
        store, done = Store(tmp_path / f"store{round_}"), tmp_path / f"done{round_}"
        order = {"root": str(store.root), "done": str(done), "rows": 100}
        status = writers.run(**order, kill_after_s=draw.uniform(0.0, 0.06))["status"]
        killed += status == KILLED
        round_ += status == 0  # all is stored: begin anew
        stored = {name: len(series) for name, series in store.read(script.NAME).items()}
        lines = done.read_text().split("\n")[:-1] if done.exists() else []
        returned = {symbol: int(rows) for symbol, rows in (line.split() for line in lines)}
        _check_growth(script, store, returned)
        # The next writer goes on from what is stored, returned from or not.
        done.write_text("".join(f"{name} {rows}\n" for name, rows in stored.items()))


def test_writers_and_a_reader_at_once(script: ModuleType, writers: Writers, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    order = {"root": str(store.root), "rows": 60}
    writers.ask(*({**order, "done": str(tmp_path / f"done{number}")} for number in range(2)))
    least = 0
    for _ in range(100):
        candles = store.read(script.NAME)
        for symbol, series in candles.items():
            assert np.array_equal(series.close, script.HISTORY[symbol].close[: len(series)])
        assert candles.num_candles >= least
        least = candles.num_candles
    assert [end["status"] for end in writers.answer()] == [0, 0]
    whole = Candles(series[:60] for series in script.HISTORY.values())
    assert store.read(script.NAME).fingerprint() == whole.fingerprint()
