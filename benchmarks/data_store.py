"""How fast validated candles come out of the store, beside ``pandas.read_csv`` and ``pandas.concat``.

All daily candles of a folder (3.1 million of 700 symbols in ../shared/data) are written to a store and to
CSV files, one a symbol. Then fresh processes, each bound to one core, read them into the same validated
``Candles`` in both ways; the files are in the page cache, and imports are not counted. Run it with::

    uv run python benchmarks/data_store.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

# All that both ways need, before any clock starts.
import marketgpt_data_sources.store.store  # noqa: F401
from marketgpt_core.candles import Candles
from marketgpt_data_sources import load_candles
from marketgpt_data_sources.store import Store

SOURCE = "bench"
MOST_SECONDS, MOST_MB, LEAST_RATIO = 2.0, 1000.0, 5.0


def from_store(folder: Path) -> Candles:
    """Read with the store."""
    return Store(folder / "store").read(SOURCE)


def from_csv(folder: Path) -> Candles:
    """Read with pandas, whose numbers are exact from 3.0 on."""
    frames = [pd.read_csv(path, parse_dates=["time"]) for path in sorted((folder / "csv").iterdir())]
    return Candles.from_frame(pd.concat(frames, ignore_index=True))


WAYS = {"store": from_store, "csv": from_csv}


def child(way: str, folder: Path) -> dict[str, Any]:
    """Read once, on one core, and return what it took."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    began, spent = time.perf_counter(), time.process_time()
    candles = WAYS[way](folder)
    elapsed_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
    status = Path("/proc/self/status").read_text().splitlines()
    # Not getrusage: it counts the parent's memory too, of which a child starts as a copy.
    peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return {
        "elapsed_s": elapsed_s,
        "cpu_s": cpu_s,
        "peak_mb": peak_kb / 1024,
        "candles": candles.num_candles,
        "fingerprint": candles.fingerprint(),
    }


def prepare(data: Path, folder: Path) -> str:
    """Write the candles both ways and return their fingerprint."""
    candles = load_candles(f"parquet:{data}")
    store = Store(folder / "store")
    (folder / "csv").mkdir()
    for symbol, series in candles.items():
        store.update(SOURCE, series, since=None, whole=True)
        frame = candles.select([symbol]).to_frame()
        frame.assign(time=frame["time"].dt.strftime("%Y-%m-%d")).to_csv(
            folder / "csv" / f"{symbol}.csv", index=False
        )
    return candles.fingerprint()


def run_child(way: str, folder: Path) -> dict[str, Any]:
    """Return what a fresh process measured."""
    one_thread = {"OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    command = [sys.executable, __file__, "--child", way, "--folder", str(folder)]
    done = subprocess.run(command, env=os.environ | one_thread, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measured(data: Path, folder: Path, runs: int) -> dict[str, Any]:
    """Return the medians of each way and how they compare."""
    fingerprint = prepare(data, folder)
    for way in WAYS:
        run_child(way, folder)  # into the page cache
    ways: dict[str, Any] = {}
    # By turns, so that what else runs on the machine slows all of them alike.
    samples = [{way: run_child(way, folder) for way in WAYS} for _ in range(runs)]
    for way in WAYS:
        found = [sample[way] for sample in samples]
        medians = {
            name: statistics.median(one[name] for one in found) for name in ("elapsed_s", "cpu_s", "peak_mb")
        }
        ways[way] = {**medians, "same_candles": all(one["fingerprint"] == fingerprint for one in found)}
    store, csv = ways["store"], ways["csv"]
    return {
        "candles": samples[0]["store"]["candles"],
        "runs": runs,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "ways": ways,
        "times_faster": csv["cpu_s"] / store["cpu_s"],
        "holds": store["cpu_s"] < MOST_SECONDS
        and store["peak_mb"] < MOST_MB
        and csv["cpu_s"] >= LEAST_RATIO * store["cpu_s"]
        and store["same_candles"]
        and csv["same_candles"],
    }


def main() -> None:
    """Measure, print a table and JSON; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of Parquet files")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child, given.folder)))
        return
    if not given.data.is_dir():
        sys.exit(f"no data at {given.data}: give --data DIR")
    with tempfile.TemporaryDirectory() as folder:
        report = measured(given.data, Path(folder), given.runs)
    print(f"{'':22}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}  same candles")
    for way, one in report["ways"].items():
        print(
            f"{way:22}{one['cpu_s']:8.2f}{one['elapsed_s']:8.2f}{one['peak_mb']:9.0f}  {one['same_candles']}"
        )
    print(
        f"{report['candles']:,} candles; the store is {report['times_faster']:.1f} times as fast as read_csv"
    )
    print(json.dumps(report))
    sys.exit(0 if report["holds"] else 1)


if __name__ == "__main__":
    main()
