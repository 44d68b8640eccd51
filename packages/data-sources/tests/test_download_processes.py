"""Real processes: killed at any point, and two at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.interval import Interval
from marketgpt_data_sources.loopback.yahoo import YahooServer, walk, weekdays
from marketgpt_data_sources.store import Store

SCRIPT = Path(__file__).with_name("fetch_process.py")
KILLED = -9
FIRST = date(2023, 1, 2)
NUM_SYMBOLS = 30
SYMBOLS = [f"S{number:02d}" for number in range(NUM_SYMBOLS)]
NAME = "yfinance"


@dataclass
class Fetches:
    """A process that forks one child for each fetch asked of it."""

    process: subprocess.Popen[str]
    output: Path

    def begin(self, now: str, arguments: list[str], **order: Any) -> None:
        line = json.dumps({"now": now, "arguments": arguments, "output": str(self.output), **order})
        self._stdin.write(f"{line}\n")
        self._stdin.flush()

    def end(self) -> tuple[int, int]:
        answer = json.loads(self._stdout.readline())
        return answer["status"], answer["steps"]

    def fetch(self, now: str, arguments: list[str], **order: Any) -> tuple[int, int]:
        self.begin(now, arguments, **order)
        return self.end()

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def _stdin(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def _stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:

        def start(name: str) -> Fetches:
            folder = tmp_path / name
            folder.mkdir()
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(SCRIPT), str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert process.stdin is not None
            stack.callback(process.stdin.close)
            fetches = Fetches(process, folder / "output")
            assert json.loads(fetches._stdout.readline()) == {"threads": 1}  # or forks would not be safe
            return fetches

        yield start


def _arguments(server: YahooServer, store: Path, *more: str) -> list[str]:
    pace = ("requests_per_s=0", "backoff_s=0", f"mirror={server.base}")
    options = [part for option in pace for part in ("-o", option)]
    return ["--symbols", ",".join(SYMBOLS), "--store", str(store), *options, *more]


def _now(last: date) -> str:
    return f"{last}T23:59"  # New York has been closed for hours


@dataclass
class Truth:
    """What the server has had of each symbol, version by version: (last day, ratio of its closes)."""

    server: YahooServer
    days: list[date]

    def closes(self) -> dict[str, np.ndarray]:
        return {
            symbol: np.array([candle[3] for candle in self.server.listings[symbol].candles], dtype=float)
            for symbol in SYMBOLS
        }

    def list(self, count: int) -> None:
        self.days = weekdays(FIRST, count)
        for seed, symbol in enumerate(SYMBOLS):
            self.server.list(symbol, self.days, walk(count, seed=seed))

    def extend(self, count: int, seed: int) -> None:
        whole = weekdays(FIRST, len(self.days) + count)
        for number, symbol in enumerate(SYMBOLS):
            more = walk(count, seed=1000 * seed + number)
            self.server.extend(symbol, whole[len(self.days) :], more)
        self.days = whole


def _check(
    stored: Candles, before: dict[str, np.ndarray], after: dict[str, np.ndarray], days: list[date]
) -> int:
    """Every symbol is as it was before the round or as it will be after it; return how many are done."""
    done = 0
    stamps = np.array(days, dtype="datetime64[ns]")
    for symbol in SYMBOLS:
        old, new = before.get(symbol, np.empty(0)), after[symbol]
        series = stored.get(symbol)
        closes = np.empty(0) if series is None else series.close
        is_new = len(closes) == len(new) and np.allclose(closes, new, rtol=1e-12)
        assert is_new or (len(closes) == len(old) and np.allclose(closes, old, rtol=1e-12)), symbol
        if series is not None:
            assert np.array_equal(series.time, stamps[: len(series)]), symbol  # none lost, none twice
        done += is_new
    return done


def _stored(folder: Path) -> Candles:
    store = Store(folder)
    held = list(store.entries(NAME, Interval.DAY))
    return store.read(NAME, held) if held else Candles([])


@pytest.mark.slow
def test_killed_at_any_point_nothing_is_lost_and_nothing_twice(start, tmp_path: Path) -> None:
    rng = random.Random(20240603)
    kills = rounds = 0
    with YahooServer() as server:
        fetches, truth, folder = start("killed"), Truth(server, []), tmp_path / "store"
        arguments = _arguments(server, folder)
        truth.list(200)
        _, steps = fetches.fetch(_now(truth.days[-1]), _arguments(server, tmp_path / "other"))
        before: dict[str, np.ndarray] = {}
        while kills < 100 or rounds < 3:
            after, now = truth.closes(), _now(truth.days[-1])
            while True:
                # Half are killed by their own next step, the others from outside whatever they are at.
                how = (
                    {"kill_at": rng.randrange(1, steps // 4)}
                    if rng.random() < 0.5
                    else {"kill_after_s": rng.uniform(0, 0.3)}
                )
                status, _ = fetches.fetch(now, arguments, **how)
                done = _check(_stored(folder), before, after, truth.days)
                if status != KILLED:
                    assert status == 0, fetches.said
                    assert done == NUM_SYMBOLS
                    break
                kills += 1
            rounds += 1
            before = after
            # The next round: some days later, of some symbols with another history.
            for symbol in rng.sample(SYMBOLS, 6):
                server.rescale(symbol, 0.5)
            before = dict(before)
            truth.extend(rng.randrange(1, 8), seed=rounds)
        status, _ = fetches.fetch(_now(truth.days[-1]), arguments)
        assert status == 0, fetches.said
        undisturbed = tmp_path / "undisturbed"
        assert fetches.fetch(_now(truth.days[-1]), _arguments(server, undisturbed))[0] == 0
        assert _stored(folder).fingerprint() == _stored(undisturbed).fingerprint()
        assert not [path for path in folder.rglob("*") if path.suffix == ".tmp"]
        print(f"{kills} kills in {rounds} rounds, {steps} steps in an undisturbed fetch")


def test_two_processes_at_once(start, tmp_path: Path) -> None:
    with YahooServer() as server:
        truth, folder = Truth(server, []), tmp_path / "store"
        arguments = _arguments(server, folder, "--json")
        both = [start("one"), start("two")]
        truth.list(100)
        for count in (0, 3):
            if count:
                truth.extend(count, seed=1)
            for fetches in both:
                fetches.begin(_now(truth.days[-1]), arguments)
            for fetches in both:
                assert fetches.end()[0] == 0, fetches.said
            assert _check(_stored(folder), {}, truth.closes(), truth.days) == NUM_SYMBOLS
            reports = [json.loads(fetches.said) for fetches in both]
            assert len({report["fingerprint"] for report in reports}) == 1
            assert all(server.charts(symbol) <= 4 for symbol in SYMBOLS)
            assert sum(report["totals"]["requests"] for report in reports) == sum(server.counts().values())
            server.requests.clear()
