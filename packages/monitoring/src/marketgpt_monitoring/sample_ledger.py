"""A ledger in memory, filled with signals of a known law: for tests here and in plugins, and for demos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import exp, log, sqrt
from threading import Lock

import numpy as np

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Outcome, Side, Signal
from marketgpt_core.times import to_datetime

_Z = (-1.6448536, -0.6744898, 0.0, 0.6744898, 1.6448536)  # normal quantiles at 5, 25, 50, 75, 95%
_THRESHOLD = 0.52
_STREAM = 2
_HISTORY = 40  # candles the volatility is taken from


class MemoryReader:
    """A :class:`~marketgpt_core.signal.SignalReader` over lists; may be added to while others read.

    Args:
        signals: Signals, in any order.
        outcomes: Outcomes of these signals.
    """

    def __init__(self, signals: Iterable[Signal] = (), outcomes: Iterable[Outcome] = ()) -> None:
        self._lock = Lock()
        self._signals: dict[str, Signal] = {}
        self._outcomes: dict[str, Outcome] = {}
        self.append(*signals)
        self.resolve(*outcomes)

    def append(self, *signals: Signal) -> None:
        """Add signals; one that is there already stays as it is."""
        with self._lock:
            for signal in signals:
                self._signals.setdefault(signal.id, signal)

    def resolve(self, *outcomes: Outcome) -> None:
        """Add outcomes; one that is there already stays as it is."""
        with self._lock:
            for outcome in outcomes:
                self._outcomes.setdefault(outcome.signal_id, outcome)

    def signals(
        self,
        *,
        symbol: str | None = None,
        horizon_bars: int | None = None,
        side: Side | None = None,
        min_probability: float | None = None,
        since: datetime | None = None,
        latest: bool = False,
        limit: int | None = None,
    ) -> list[Signal]:
        """Return signals, newest as-of first; see :class:`~marketgpt_core.signal.SignalReader`."""
        with self._lock:
            every = list(self._signals.values())
        if latest:
            newest: dict[tuple[str, int], datetime] = {}
            for one in every:
                key = (one.symbol, one.horizon_bars)
                newest[key] = max(newest.get(key, one.as_of), one.as_of)
            every = [one for one in every if one.as_of == newest[one.symbol, one.horizon_bars]]
        kept = [
            one
            for one in every
            if (symbol is None or one.symbol == symbol)
            and (horizon_bars is None or one.horizon_bars == horizon_bars)
            and (side is None or one.side is side)
            and (min_probability is None or _of_side(one) >= min_probability)
            and (since is None or one.as_of >= since)
        ]
        kept.sort(key=lambda one: (one.as_of, one.created_at), reverse=True)
        return kept[:limit]

    def resolved(
        self, *, symbol: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[tuple[Signal, Outcome]]:
        """Return signals whose outcome is known, oldest as-of first."""
        with self._lock:
            pairs = [(self._signals[key], outcome) for key, outcome in self._outcomes.items()]
        pairs = [
            pair
            for pair in pairs
            if (symbol is None or pair[0].symbol == symbol) and (since is None or pair[0].as_of >= since)
        ]
        pairs.sort(key=lambda pair: pair[0].as_of)
        return pairs[:limit]

    def symbols(self) -> list[str]:
        """Return the symbols that have signals, sorted."""
        with self._lock:
            return sorted({one.symbol for one in self._signals.values()})


def _of_side(signal: Signal) -> float:
    return 1.0 - signal.probability if signal.side is Side.SHORT else signal.probability


def make_signal(
    symbol: str = "AAA",
    *,
    as_of: datetime = datetime(2024, 1, 2, tzinfo=UTC),
    horizon_bars: int = 5,
    interval: Interval = Interval.DAY,
    probability: float = 0.56,
    close: float = 100.0,
    bar_volatility: float = 0.01,
    strategy: str = "threshold",
    model_id: str = "market_gpt-000000000000",
    reason: str = "",
) -> Signal:
    """Return a signal of a random walk: LONG above 52%, SHORT below 48%, else FLAT.

    Args:
        symbol: The symbol.
        as_of: Stamp of the last candle; aware.
        horizon_bars: Bars ahead.
        interval: Length of a bar.
        probability: That the return is positive.
        close: Close at ``as_of``.
        bar_volatility: Standard deviation of one bar's log return; sets the bands.
        strategy: Name of the strategy.
        model_id: Identity of the model.
        reason: Why; made from the probability when empty.
    """
    sure = probability > _THRESHOLD or probability < 1.0 - _THRESHOLD
    side = (Side.LONG if probability > _THRESHOLD else Side.SHORT) if sure else Side.FLAT
    spread = bar_volatility * sqrt(horizon_bars)
    created = as_of + interval.duration
    return Signal(
        symbol=symbol,
        as_of=as_of,
        horizon_bars=horizon_bars,
        interval=interval,
        side=side,
        probability=probability,
        confidence=min(abs(2.0 * probability - 1.0), 1.0),
        close=close,
        bands=Bands(*(close * exp(z * spread) for z in _Z)),
        expires_at=created + 3 * interval.duration,
        created_at=created,
        strategy=strategy,
        model_id=model_id,
        data_fingerprint="0" * 64,
        reason=reason or f"P(up) {probability:.1%} against a threshold of 52%",
    )


def sample_ledger(
    candles: Candles,
    *,
    horizons: Sequence[int] = (1, 5, 10, 21, 42),
    model_id: str = "market_gpt-000000000000",
    seed: int = 0,
) -> MemoryReader:
    """Return signals for every candle but a symbol's first forty, resolved as far as the candles reach.

    Probabilities are drawn around one half and know nothing; bands are those of a random walk with the
    volatility of the forty candles before. On random-walk candles they hold what they promise.

    Args:
        candles: History.
        horizons: Bars ahead.
        model_id: Identity of the model.
        seed: Seed of numpy's generator.
    """
    # Not the generator the candles may have been drawn with: knowing nothing means sharing nothing.
    rng = np.random.default_rng([seed, _STREAM])
    reader = MemoryReader()
    for series in candles.values():
        for row in range(_HISTORY, len(series)):
            for signal in _signals(series, row, horizons, model_id=model_id, rng=rng):
                reader.append(signal)
                # Entered at the open after the as-of, closed at the open after the horizon.
                if row + signal.horizon_bars + 1 < len(series):
                    reader.resolve(_outcome(signal, series, row))
    return reader


def _signals(
    series: CandleSeries, row: int, horizons: Sequence[int], *, model_id: str, rng: np.random.Generator
) -> list[Signal]:
    volatility = float(np.diff(np.log(series.close[row - _HISTORY : row + 1])).std())
    return [
        make_signal(
            series.symbol,
            as_of=to_datetime(series.time[row]),
            horizon_bars=horizon,
            interval=series.interval,
            probability=float(np.clip(rng.normal(0.5, 0.03), 0.3, 0.7)),
            close=float(series.close[row]),
            bar_volatility=volatility,
            model_id=model_id,
        )
        for horizon in horizons
    ]


def _outcome(signal: Signal, series: CandleSeries, row: int) -> Outcome:
    end = row + signal.horizon_bars
    change = log(series.close[end] / series.close[row])
    sign = {Side.LONG: 1, Side.SHORT: -1, Side.FLAT: 0}[signal.side]
    entry, leave = float(series.open[row + 1]), float(series.open[end + 1])
    cost_bps = 10.0
    return Outcome(
        signal_id=signal.id,
        entry_at=to_datetime(series.time[row + 1]),
        exit_at=to_datetime(series.time[end + 1]),
        entry_price=entry,
        exit_price=leave,
        forecast_return=change,
        net_return=sign * (leave / entry - 1.0) - abs(sign) * cost_bps / 1e4,
        cost_bps=cost_bps,
        hit=None if sign == 0 else sign * change > 0,
        inside_90=bool(signal.bands.q05 <= series.close[end] <= signal.bands.q95),
        resolved_at=to_datetime(series.time[end + 1]) + timedelta(days=1),
    )
