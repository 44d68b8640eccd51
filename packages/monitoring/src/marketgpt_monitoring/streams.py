"""Resolved signals as streams: what one model said for one horizon, in the order it became known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Outcome, Signal, SignalReader
from marketgpt_core.times import to_datetime64
from marketgpt_monitoring.scores import brier


@dataclass(frozen=True, order=True)
class StreamKey:
    """What may be pooled: all symbols of one strategy, model, interval and horizon."""

    strategy: str
    model_id: str
    interval: Interval
    horizon_bars: int


@dataclass(frozen=True, eq=False)
class Stream:
    """The resolved signals of one key, by exit, then as-of.

    Attributes:
        key: What they have in common.
        as_of, exit_at: shape (n,), datetime64[ns], UTC.
        loss: shape (n,): Brier losses.
        up: shape (n,): whether the return was positive.
        inside_90: shape (n,): whether the close lay within the 90% band.
        hit: shape (n,): whether the side was right; False for FLAT.
        directional: shape (n,): whether the side was LONG or SHORT.
        block: shape (n,): number of the block of ``horizon_bars`` consecutive as-of stamps, from 0.
    """

    key: StreamKey
    as_of: NDArray[np.datetime64]
    exit_at: NDArray[np.datetime64]
    loss: NDArray[np.float64]
    up: NDArray[np.bool_]
    inside_90: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    directional: NDArray[np.bool_]
    block: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.as_of)

    def points(self) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
        """Return what a drift detector is fed: times (b,) and mean losses (b,), one a whole block.

        A mean over symbols, since the symbols of one day share the day's surprise; over as many days as the
        horizon, since horizons overlap. What is left is close to the independence detectors are calibrated
        for. The mean is taken day by day first, so that a day with many symbols does not outweigh the rest.
        A block ends with its last exit; the unfinished last block waits.
        """
        stamps, day = np.unique(self.as_of, return_inverse=True)
        daily = np.bincount(day, weights=self.loss) / np.bincount(day)
        known = np.full(len(stamps), np.datetime64("1678-01-01", "ns"))
        np.maximum.at(known, day, self.exit_at)
        width = self.key.horizon_bars
        whole = len(stamps) // width * width
        losses = daily[:whole].reshape(-1, width).mean(axis=1)
        times = np.maximum.accumulate(known[:whole].reshape(-1, width).max(axis=1)) if whole else known[:0]
        return times, losses


def current_keys(reader: SignalReader, *, stale_after: timedelta) -> set[StreamKey]:
    """Return the streams of models in use: those that made some symbol's newest signal lately.

    Args:
        reader: The ledger.
        stale_after: A symbol whose newest signal is older than the ledger's newest by more is left out, so
            that a delisted symbol does not keep its old model under watch.
    """
    newest = reader.signals(latest=True)
    since = max((signal.as_of for signal in newest), default=None)
    if since is None:
        return set()
    return {_key(signal) for signal in newest if signal.as_of >= since - stale_after}


def resolved_streams(
    reader: SignalReader,
    *,
    now: datetime,
    symbol: str | None = None,
    since: datetime | None = None,
    pool_models: bool = False,
) -> dict[StreamKey, Stream]:
    """Return the streams of outcomes that had been written by ``now``; later ones do not exist yet.

    Args:
        reader: The ledger.
        now: Aware.
        symbol: Only this symbol.
        since: Only as-of stamps from here on; aware.
        pool_models: Take all models of a strategy together; the keys' ``model_id`` is then empty.
    """
    rows: dict[StreamKey, list[tuple[Signal, Outcome]]] = defaultdict(list)
    for signal, outcome in reader.resolved(symbol=symbol, since=since):
        if outcome.resolved_at <= now:
            key = _key(signal)
            rows[replace(key, model_id="") if pool_models else key].append((signal, outcome))
    return {key: _stream(key, pairs) for key, pairs in rows.items()}


def _key(signal: Signal) -> StreamKey:
    return StreamKey(signal.strategy, signal.model_id, signal.interval, signal.horizon_bars)


def _stream(key: StreamKey, pairs: list[tuple[Signal, Outcome]]) -> Stream:
    pairs = sorted(pairs, key=lambda pair: (pair[1].exit_at, pair[0].as_of, pair[0].symbol))
    as_of = np.array([to_datetime64(signal.as_of) for signal, _ in pairs])
    returns = np.array([outcome.forecast_return for _, outcome in pairs])
    _, day = np.unique(as_of, return_inverse=True)
    return Stream(
        key=key,
        as_of=as_of,
        exit_at=np.array([to_datetime64(outcome.exit_at) for _, outcome in pairs]),
        loss=brier(np.array([signal.probability for signal, _ in pairs]), returns),
        up=returns > 0,
        inside_90=np.array([outcome.inside_90 for _, outcome in pairs], dtype=bool),
        hit=np.array([bool(outcome.hit) for _, outcome in pairs], dtype=bool),
        directional=np.array([outcome.hit is not None for _, outcome in pairs], dtype=bool),
        block=day // key.horizon_bars,
    )
