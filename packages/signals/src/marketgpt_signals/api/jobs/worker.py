"""One backtest in a process of its own: a request as JSON on standard input, the answer on standard output.

A process a job: its CPU time is no request's, its memory is given back, and it can be killed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from marketgpt_core.clock import SystemClock
from marketgpt_core.errors import ConfigError, DataError, MarketGPTError
from marketgpt_core.signal import Signal
from marketgpt_signals.api.models import BacktestRequest
from marketgpt_signals.backtest import BacktestConfig
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.trials import run_trial

MOST_BARS = 10_000
_SERIES = ("time", "equity", "gross_equity", "benchmark", "turnover", "costs")


def run(location: str, source: str, request: BacktestRequest) -> dict[str, Any]:
    """Run a backtest.

    Args:
        location: Of the ledger.
        source: Of the candles.
        request: What to test.

    Returns:
        ``result`` without values by bar, and ``series``: of the last 10,000 bars.

    Raises:
        MarketGPTError: when it cannot be run; its line is the job's reason.
    """
    with Ledger.open(location, must_exist=True) as ledger:
        chosen = _chosen(ledger, request)
        config = BacktestConfig(
            horizon_bars=request.horizon_bars,
            cost=request.cost,
            num_resamples=request.num_resamples,
            seed=request.seed,
        )
        intervals = {signal.interval for signal in chosen}
        if len(intervals) > 1:
            raise ConfigError(f"the signals are of several intervals: {', '.join(sorted(intervals))}")
        result, _ = run_trial(chosen, ledger, source, config, SystemClock().now())
    whole = result.to_json()
    by_bar = whole.pop("series")
    return {"result": whole, "series": {name: list(by_bar[name])[-MOST_BARS:] for name in _SERIES}}


def _chosen(ledger: Ledger, request: BacktestRequest) -> list[Signal]:
    wanted = frozenset(request.symbols)
    found = ledger.signals(horizon_bars=request.horizon_bars, since=request.since)
    kept = [
        signal
        for signal in found
        if (not wanted or signal.symbol in wanted)
        and request.strategy in {None, signal.strategy}
        and request.model in {None, signal.model_id}
        and (request.until is None or signal.as_of <= request.until)
    ]
    if not kept:
        raise DataError(f"the ledger has no such signals; its horizons are {ledger.horizons()}")
    return kept


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        request = BacktestRequest.model_validate(asked["request"])
        return run(asked["location"], asked["source"], request)
    except MarketGPTError as error:
        return {"reason": _without_places(str(error), asked)}


def _without_places(line: str, asked: Mapping[str, Any]) -> str:
    """Take the places of the server's files out of a line that a client will read."""
    for what, place in (("the ledger", asked["location"]), ("the source", asked["source"])):
        line = line.replace(place, what).replace(place.partition(":")[2] or place, what)
    return line[:500]


if __name__ == "__main__":
    # What libraries print must not come between the answer's braces.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with out:
        out.write(json.dumps(_answer(json.load(sys.stdin)), allow_nan=False))
