"""Real processes: killed at any point, and two at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.interval import Interval
from marketgpt_data_sources.loopback.yahoo import YahooServer, walk, weekdays
from marketgpt_data_sources.store import Store

# Starting a process that has imported everything takes seconds.
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("fetch_process.py")
KILLED = -9
FIRST = date(2023, 1, 2)
NUM_SYMBOLS = 30
NUM_KILLS = 100
SYMBOLS = [f"S{number:02d}" for number in range(NUM_SYMBOLS)]
NAME = "yfinance"


@dataclass
class Fetches:
    """A process that forks a child for each fetch asked of it."""

    process: subprocess.Popen[str]
    folder: Path

    def at_once(self, *orders: dict[str, Any]) -> list[dict[str, int]]:
        """Run fetches side by side; return the status and the steps of each."""
        files = [
            {name: str(self.folder / f"{name}{k}") for name in ("output", "errors")}
            for k in range(len(orders))
        ]
        whole = [{**order, **paths} for order, paths in zip(orders, files, strict=True)]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(whole)}\n")
        self.process.stdin.flush()
        found: list[dict[str, int]] = json.loads(self.process.stdout.readline())
        return found

    def fetch(self, now: str, arguments: list[str], **how: Any) -> dict[str, int]:
        (ended,) = self.at_once({"now": now, "arguments": arguments, **how})
        return ended

    def output(self, number: int = 0) -> str:
        return (self.folder / f"output{number}").read_text()

    @property
    def said(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.iterdir()))


@pytest.fixture(scope="module")
def fetches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetches]:
    folder = tmp_path_factory.mktemp("fetches")
    command = [sys.executable, str(SCRIPT), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"threads": 1}  # or forks would not be safe
        (folder / "said").mkdir()
        yield Fetches(process, folder / "said")
        process.stdin.close()


def _arguments(server: YahooServer, store: Path, *more: str) -> list[str]:
    pace = ("requests_per_s=0", "backoff_s=0", f"mirror={server.base}")
    options = [part for option in pace for part in ("-o", option)]
    return ["--symbols", ",".join(SYMBOLS), "--store", str(store), *options, *more]


def _now(last: date) -> str:
    # Noon of the next day: a weekday on which New York is shut is over then, too. How many days a round adds
    # hangs on the kills before it, so that one day or other a round ends on Thanksgiving.
    return f"{last + timedelta(days=1)}T12:00"


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


def test_killed_at_any_point_nothing_is_lost_and_nothing_twice(fetches: Fetches, tmp_path: Path) -> None:
    rng = random.Random(20240603)
    kills = rounds = 0
    with YahooServer() as server:
        truth, folder = Truth(server, []), tmp_path / "store"
        arguments = _arguments(server, folder)
        truth.list(200)
        steps = fetches.fetch(_now(truth.days[-1]), _arguments(server, tmp_path / "other"))["steps"]
        before: dict[str, np.ndarray] = {}
        while kills < NUM_KILLS or rounds < 3:
            after, now = truth.closes(), _now(truth.days[-1])
            while True:
                # Half are killed by a step of their own, the others from outside, whatever they are at.
                by_step, by_time = (
                    {"kill_at": rng.randrange(1, steps // 4)},
                    {"kill_after_s": rng.uniform(0, 0.4)},
                )
                how = rng.choice([by_step, by_time]) if kills < NUM_KILLS else {}
                status = fetches.fetch(now, arguments, **how)["status"]
                done = _check(_stored(folder), before, after, truth.days)
                if status != KILLED:
                    assert status == 0, fetches.said
                    assert done == NUM_SYMBOLS
                    break
                kills += 1
            rounds += 1
            before = after
            # The next round: some days later, some symbols with another history.
            for symbol in rng.sample(SYMBOLS, 6):
                server.rescale(symbol, 0.5)
            truth.extend(rng.randrange(1, 8), seed=rounds)
        undisturbed, now = tmp_path / "undisturbed", _now(truth.days[-1])
        for store in (folder, undisturbed):
            assert fetches.fetch(now, _arguments(server, store))["status"] == 0, fetches.said
        assert _stored(folder).fingerprint() == _stored(undisturbed).fingerprint()
        assert not list(folder.rglob("*.tmp"))
        print(f"{kills} kills in {rounds} rounds; an undisturbed fetch walks {steps} steps")


def test_two_processes_at_once(fetches: Fetches, tmp_path: Path) -> None:
    with YahooServer() as server:
        truth, folder = Truth(server, []), tmp_path / "store"
        arguments = _arguments(server, folder, "--json")
        truth.list(100)
        for new_days in (0, 3):
            truth.extend(new_days, seed=1)
            order = {"now": _now(truth.days[-1]), "arguments": arguments}
            assert [ended["status"] for ended in fetches.at_once(order, order)] == [0, 0], fetches.said
            assert _check(_stored(folder), {}, truth.closes(), truth.days) == NUM_SYMBOLS
            reports = [json.loads(fetches.output(number)) for number in range(2)]
            assert len({report["fingerprint"] for report in reports}) == 1
            # None is asked for by one process twice, and no request is unaccounted for.
            assert all(count <= 2 for count in server.counts().values())
            assert sum(report["totals"]["requests"] for report in reports) == sum(server.counts().values())
            assert sum(report["totals"]["rows_added"] for report in reports) == NUM_SYMBOLS * (
                new_days or 100
            )
            print(f"{sum(server.counts().values())} requests for {NUM_SYMBOLS} symbols by two processes")
            server.requests.clear()
