"""Warm-up: how much history must there be before the newest signal or forecast stays what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError, MarketGPTError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.signal import Signal
from marketgpt_core.times import Moment, iso, to_datetime64
from marketgpt_signals.base import SignalStrategy, signals_of
from marketgpt_signals.known import moments_known
from marketgpt_signals.verify.checks import Check, Key, by_key, only_abstentions
from marketgpt_signals.verify.futures import cut
from marketgpt_signals.verify.lookahead import CREATED_AT, spread_over

LENGTHS = (1, 2, 3, 5, 10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280)


@dataclass(frozen=True)
class Deviation:
    """How far the newest statements with a short history are from those with all of it.

    Attributes:
        bars: Length of the history.
        num_compared: Statements.
        num_different: How many are off by more than the tolerance, of another side or missing.
        largest: The largest deviation of size or confidence; of a forecast, of its quantiles in spreads.
    """

    bars: int
    num_compared: int
    num_different: int
    largest: float


def least_history(deviations: Sequence[Deviation]) -> int | None:
    """Return the least length from which on nothing is different, or None when even the longest is."""
    least = None
    for one in sorted(deviations, key=lambda one: -one.bars):
        if one.num_different:
            break
        least = one.bars
    return least


def check_warmup(
    strategy: SignalStrategy,
    forecast: Forecast,
    candles: Candles | None = None,
    *,
    num_moments: int = 6,
    tolerance: float = 1e-9,
    lengths: Sequence[int] = LENGTHS,
) -> Check:
    """Shorten the history before each of some moments and compare the newest signals with those of all of it.

    Candles, and earlier dates of the forecast, are cut to the same number. Passed when the least history from
    which on the signals agree is no longer than the strategy says it reads (``history_bars``, at least 1).

    Args:
        strategy: Under test.
        forecast: Forecasts of several dates.
        candles: Candles.
        num_moments: Moments, the newest ones of the forecast spread.
        tolerance: Of size and confidence; the side must be the same.
        lengths: Histories to try.
    """
    moments = moments_known(forecast, candles)
    chosen = spread_over(np.unique(moments), num_moments)
    if not len(chosen):
        raise DataError("a warm-up check needs forecasts")
    declared = max(1, strategy.history_bars)
    tried = sorted({*lengths, declared})
    counts = {bars: [0, 0, 0.0] for bars in tried}
    first = ""
    acting: dict[Key, Signal] = {}
    aligned = Aligned(candles) if candles is not None else None
    for moment in chosen:
        past = forecast.rows(moments <= moment)
        newest = past.as_of == past.as_of[moments[moments <= moment] == moment].max()
        known = cut(candles, aligned, moment) if candles is not None and aligned is not None else None
        symbols = {symbol for symbol, new in zip(past.symbols, newest, strict=True) if new}
        full = _newest(strategy, past, known, symbols)
        acting |= full
        for bars in tried:
            short = None if known is None else Candles(one[-bars:] for one in known.values())
            dates = np.unique(past.as_of)[-bars:]
            made = _newest(strategy, past.rows(past.as_of >= dates[0]), short, symbols)
            for key, signal in full.items():
                off = _deviation(signal, made.get(key))
                counts[bars][0] += 1
                counts[bars][1] += off > tolerance
                counts[bars][2] = max(counts[bars][2], off)
                if off > tolerance and bars >= declared and not first:
                    first = f"{key[0]} at {key[1]}, {key[2]} bars ahead: off by {off:.3g} after {bars} bars"
    deviations = [Deviation(bars, int(n), int(d), float(m)) for bars, (n, d, m) in counts.items()]
    reads = f"says it reads {strategy.history_bars or 'no'} candles"
    notes = (reads, only_abstentions(acting))
    return _verdict(strategy.name, deviations, declared, first, notes)


def _newest(
    strategy: SignalStrategy, past: Forecast, known: Candles | None, symbols: set[str]
) -> dict[Key, Signal]:
    made = by_key(signals_of(strategy, past, created_at=CREATED_AT, candles=known))
    last = iso(past.as_of.max())
    return {key: signal for key, signal in made.items() if key[1] == last and key[0] in symbols}


def _deviation(full: Signal, short: Signal | None) -> float:
    if short is None or short.side is not full.side:
        return 1.0
    return max(abs(short.size - full.size), abs(short.confidence - full.confidence))


def _verdict(
    subject: str, deviations: Sequence[Deviation], declared: int, first: str, notes: Sequence[str]
) -> Check:
    least = least_history(deviations)
    check = Check(subject, "warmup", num_compared=sum(one.num_compared for one in deviations))
    told = "no length tried agrees" if least is None else f"agrees from {least} bars on"
    check.note = "; ".join(filter(None, [told, *notes]))
    check.details = {
        "declared": declared,
        "least_history": least,
        "deviations": [vars(one) for one in deviations],
    }
    if least is None or least > declared:
        wrong = sum(one.num_different for one in deviations if one.bars >= declared)
        check.differs(first or "even the longest history tried is too short", max(1, wrong))
    return check


def check_forecaster_warmup(
    forecaster: Forecaster,
    candles: Candles,
    *,
    as_of: Sequence[Moment],
    horizons: Sequence[int] = (1, 5),
    num_samples: int = 20,
    seed: int = 0,
    tolerance: float = 0.05,
    lengths: Sequence[int] = LENGTHS,
) -> Check:
    """Shorten the history before each date and compare forecasts with those of all of it.

    A deviation is the largest move of a quantile between 5% and 95%, in units of the law's spread. Passed
    when some length tried agrees; the note says from which on, beside the history the forecaster asks for.

    Args:
        forecaster: Under test.
        candles: Candles.
        as_of: Dates.
        horizons: Bars ahead.
        num_samples: Samples a forecast.
        seed: Of the forecaster.
        tolerance: In units of spread.
        lengths: Histories to try; those shorter than the forecaster asks for are left out.
    """
    options = {"horizons": list(horizons), "num_samples": num_samples, "seed": seed}
    declared = forecaster.min_history
    tried = sorted({declared, *(bars for bars in lengths if bars > declared)})
    counts = {bars: [0, 0, 0.0] for bars in tried}
    for date in as_of:
        known = candles.until(to_datetime64(date))
        full = forecaster.forecast(known, as_of=[date], **options)  # type: ignore[arg-type]
        for bars in (one for one in tried if one < max(len(series) for series in known.values())):
            short = Candles(_last(series, bars) for series in known.values())
            try:
                made = forecaster.forecast(short, as_of=[date], **options)  # type: ignore[arg-type]
            except MarketGPTError:
                made = None
            for off in _quantile_moves(full, made):
                counts[bars][0] += 1
                counts[bars][1] += off > tolerance
                counts[bars][2] = max(counts[bars][2], off)
    deviations = [Deviation(bars, int(n), int(d), float(m)) for bars, (n, d, m) in counts.items() if n]
    least = least_history(deviations)
    check = Check(forecaster.model_id, "warmup", num_compared=sum(one.num_compared for one in deviations))
    check.note = f"asks for {declared} bars; within {tolerance:g} spreads from {least} on"
    check.details = {"declared": declared, "least_history": least}
    check.details["deviations"] = [vars(one) for one in deviations]
    if least is None:
        check.differs("no history tried is long enough: give candles that begin earlier")
    return check


def _last(series: CandleSeries, bars: int) -> CandleSeries:
    return series[-bars:]


def _quantile_moves(full: Forecast, made: Forecast | None) -> NDArray[np.float64]:
    """Return for each pair the largest move of a quantile in spreads; infinite where it is missing."""
    moves = np.full(len(full), np.inf)
    if made is None:
        return moves
    inner = (full.levels >= 0.05) & (full.levels <= 0.95)  # noqa: PLR2004 - the band signals carry
    place = {pair: i for i, pair in enumerate(zip(made.symbols, made.as_of.tolist(), strict=True))}
    for i, pair in enumerate(zip(full.symbols, full.as_of.tolist(), strict=True)):
        if pair in place:
            off = np.abs(made.quantiles[place[pair]] - full.quantiles[i])[:, inner].max(axis=1)
            moves[i] = float((off / np.maximum(full.aleatoric[i], 1e-12)).max())
    return moves
