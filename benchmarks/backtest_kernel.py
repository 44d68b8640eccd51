"""The backtest's accounting beside vectorbt's: the same weights, prices and fees, one process, one thread.

    uv run --group oracles python benchmarks/backtest_kernel.py

Three kinds of weights: brought to every tenth bar and left alone between, every bar anew, and those of
overlapping cohorts (every bar a little). vectorbt gets the same targets as ``targetpercent`` at the same
opens with one cash account, its fastest way; it sizes before costs, we after, so its equity is compared
without fees. Its time is counted twice: of ``from_orders`` alone, and with ``value()``, the equity that we
return too.

``cold`` is a fresh process until the first result of that size, from before the first import: with nothing
cached, with Python's bytecode cached (as every process but the first of an installation finds it), and with
numba's compiled code cached too.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from marketgpt_signals.backtest import BacktestConfig, Grid, backtest_weights
from marketgpt_signals.backtest.kernel import simulate

RATE = 0.0007
CASH = 1e6  # vectorbt drops orders of less than 1e-8 shares
_COLD = """
import numpy as np
from marketgpt_signals.backtest.kernel import simulate
walk = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, ({rows}, {assets})), axis=0))
weights = np.full(({bars}, {assets}), 1 / {assets})
simulate(walk[::2], walk[1::2], weights, np.full({bars}, 1 / 365), 0.0007, 0.005)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=int, default=500)
    parser.add_argument("--bars", type=int, default=2_500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-vectorbt", action="store_true", help="only our own figures")
    asked = parser.parse_args()
    bars, assets = asked.bars, asked.assets
    print(f"{assets} assets x {bars} bars, one thread, CPU seconds, best of {asked.repeats} in turns")
    rng = np.random.default_rng(0)
    walk = np.exp(np.cumsum(rng.normal(0, 0.01, (2 * bars, assets)), axis=0)) * 50
    opens, closes = walk[::2].copy(), walk[1::2].copy()
    theirs = None if asked.no_vectorbt else vectorbt(opens, closes)
    for name, weights in kinds(rng, bars, assets).items():
        compare(name, opens, closes, weights, theirs, asked.repeats)
    whole(opens, closes, kinds(rng, bars, assets)["every tenth bar"])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("nothing cached", "compiled anew, bytecode cached", "compiled code cached"):
            cold(name, Path(folder), bars, assets)
            if name == "nothing cached":
                shutil.rmtree(Path(folder) / "compiled")


def kinds(rng: np.random.Generator, bars: int, assets: int) -> dict[str, np.ndarray]:
    """Return weights, shape (bars, assets), by name."""
    each = rng.choice([-1.0, 0.0, 1.0], (bars, assets)) / assets
    total = np.cumsum(np.vstack([np.zeros((10, assets)), each]), axis=0)
    return {
        "every tenth bar": np.where(np.arange(bars)[:, None] % 10 == 0, each, np.nan),
        "every bar": each,
        "cohorts of ten bars": (total[10:] - total[:-10]) / 10,
    }


def vectorbt(opens: np.ndarray, closes: np.ndarray) -> Callable[[np.ndarray, float], object]:
    """Return vectorbt's simulation of targets already moved to the bar they trade at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        import vectorbt as vbt

    price, marks = pd.DataFrame(opens), pd.DataFrame(closes)

    def run(wanted: np.ndarray, fees: float) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return vbt.Portfolio.from_orders(
                marks, size=wanted, size_type="targetpercent", price=price, val_price=price, fees=fees,
                init_cash=CASH, cash_sharing=True, group_by=True, freq="D",
            )  # fmt: skip

    return run


def compare(  # noqa: PLR0917
    name: str,
    opens: np.ndarray,
    closes: np.ndarray,
    weights: np.ndarray,
    theirs: Callable[[np.ndarray, float], object] | None,
    repeats: int,
) -> None:
    """Print both speeds for one kind of weights, and how far the equities are apart."""
    years = np.full(len(weights), 1 / 365.25)
    wanted = np.vstack([np.full((1, weights.shape[1]), np.nan), weights[:-1]])
    free = simulate(opens, closes, weights, years, 0.0, 0.0)[0]
    if theirs is not None:
        value = np.asarray(theirs(wanted, 0.0).value()).ravel() / CASH  # and compiles
        print(f"{name}: equity without fees differs by {np.abs(free / value - 1).max():.1e} of itself")
    mine, orders, whole_run = [], [], []
    for _ in range(repeats):
        began = time.process_time()
        simulate(opens, closes, weights, years, RATE, 0.005)
        mine.append(time.process_time() - began)
        if theirs is not None:
            began = time.process_time()
            book = theirs(wanted, RATE)
            orders.append(time.process_time() - began)
            book.value()
            whole_run.append(time.process_time() - began)
    speed = weights.size / min(mine) / 1e6
    print(f"{name}: ours {min(mine) * 1e3:.1f} ms, {speed:.0f} million bars a second")
    if theirs is not None:
        for what, times in (("from_orders", orders), ("from_orders and value", whole_run)):
            ratio, rate = min(times) / min(mine), weights.size / min(times) / 1e6
            told = f"{min(times) * 1e3:.0f} ms, {rate:.1f} million; {ratio:.0f} times ours"
            print(f"{name}: vectorbt's {what} {told}")


def whole(opens: np.ndarray, closes: np.ndarray, weights: np.ndarray) -> None:
    """Everything a backtest reports: two accounts, buy and hold, all measures with 1,000 resamples."""
    stamps = np.datetime64("2010-01-01", "ns") + np.arange(len(opens)) * np.timedelta64(1, "D")
    grid = Grid(stamps, tuple(f"S{column}" for column in range(opens.shape[1])), opens, closes)
    for resamples in (0, 1_000):
        began = time.process_time()
        backtest_weights(grid, weights, BacktestConfig(num_resamples=resamples))
        print(f"backtest_weights with {resamples} resamples: {time.process_time() - began:.2f} s")


def cold(name: str, folder: Path, bars: int, assets: int) -> None:
    """Print what a fresh process takes, with caches in a folder."""
    code = _COLD.format(rows=2 * bars, bars=bars, assets=assets)
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    kept |= {"NUMBA_CACHE_DIR": str(folder / "compiled"), "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=kept, timeout=120)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"cold, {name}: {spent:.2f} CPU seconds, {wall:.2f} s by the clock")


if __name__ == "__main__":
    main()
