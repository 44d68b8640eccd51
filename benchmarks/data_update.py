"""How close an incremental update comes to the bound its rate limit sets, and that it asks once a symbol.

A loopback Yahoo in a process of its own thinks for 0.1 s about every answer. The store first gets the history
of 600 symbols up to a date; then the update is timed: one request a symbol at 10 a second - 25 times the pace
Yahoo is asked at by default - cannot take less than 60 seconds. ``ceiling_per_s`` is the rate from which on
our own work (yfinance, checks, store; one core's worth, for Python has one lock) would be the bound. Run it
with::

    uv run python benchmarks/data_update.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from marketgpt_data_sources.download import DownloadReport, download
from marketgpt_data_sources.loopback.yahoo import YahooServer, walk, weekdays
from marketgpt_data_sources.source import open_source
from marketgpt_data_sources.store import Store

FIRST = date(2019, 1, 1)
NUM_DAYS, NUM_NEW = 1000, 5
MOST_RATIO = 1.15


def serve(pipe: Connection, symbols: list[str], latency_s: float) -> None:
    """Be Yahoo until told to stop; answer any other message with the requests since the last one."""
    days = weekdays(FIRST, NUM_DAYS)
    with YahooServer(latency_s=latency_s) as server:
        for seed, symbol in enumerate(symbols):
            server.list(symbol, days, walk(NUM_DAYS, seed=seed))
        pipe.send(server.base)
        while pipe.recv() != "stop":
            pipe.send((dict(server.counts()), server.busiest))
            server.requests.clear()


def fetched(
    base: str, folder: Path, symbols: list[str], *, requests_per_s: float, until: date | None = None
) -> DownloadReport:
    """Bring the store up to date through the real client."""
    pace = {"requests_per_s": requests_per_s, "burst": 1, "max_concurrency": 8}
    source = open_source("yfinance", {"mirror": base, **pace})
    return download(source, "yfinance", Store(folder), symbols, until=until)


def measured(num_symbols: int, requests_per_s: float, latency_s: float) -> dict[str, Any]:
    """Return what one update took."""
    symbols = [f"S{number:03d}" for number in range(num_symbols)]
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, symbols, latency_s))
    server.start()
    base = here.recv()
    with tempfile.TemporaryDirectory() as folder:
        until = weekdays(FIRST, NUM_DAYS)[-NUM_NEW]
        filled = fetched(base, Path(folder), symbols, requests_per_s=0, until=until)
        here.send("counts")
        here.recv()
        began, spent = time.perf_counter(), time.process_time()
        updated = fetched(base, Path(folder), symbols, requests_per_s=requests_per_s)
        elapsed_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
    here.send("counts")
    counts, busiest = here.recv()
    here.send("stop")
    server.join()
    bound_s = num_symbols / requests_per_s
    return {
        "symbols": num_symbols,
        "requests_per_s": requests_per_s,
        "latency_s": latency_s,
        "stored_before": filled.total("rows_total"),
        "rows_added": updated.total("rows_added"),
        "failed": len(updated.failures),
        "elapsed_s": round(elapsed_s, 2),
        "cpu_s": round(cpu_s, 2),
        "cpu_ms_per_symbol": round(1000 * cpu_s / num_symbols, 1),
        "ceiling_per_s": round(num_symbols / cpu_s, 1),
        "bound_s": round(bound_s, 2),
        "ratio": round(elapsed_s / bound_s, 3),
        "requests_by_symbol": dict(Counter(counts.get(symbol, 0) for symbol in symbols)),
        "busiest": busiest,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def main() -> int:
    """Measure, print a table and JSON; fail when the update is not bound by the rate limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--symbols", type=int, default=600)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds the server thinks")
    arguments = parser.parse_args()
    result = measured(arguments.symbols, arguments.rate, arguments.latency)
    for name, value in result.items():
        print(f"{name:20} {value}", file=sys.stderr)
    print(json.dumps(result, indent=2))
    once = result["requests_by_symbol"] == {1: arguments.symbols}
    whole = result["failed"] == 0 and result["rows_added"] == NUM_NEW * arguments.symbols
    return 0 if once and whole and result["ratio"] <= MOST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
