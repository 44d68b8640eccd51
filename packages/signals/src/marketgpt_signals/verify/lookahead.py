"""Look-ahead: what was said by a moment must be the same in a world that ends there or goes on otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError, MarketGPTError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.lookahead import LeakError, assert_no_lookahead
from marketgpt_core.signal import Signal
from marketgpt_core.times import Moment, iso
from marketgpt_signals.base import SignalStrategy, signals_of
from marketgpt_signals.known import moments_known
from marketgpt_signals.verify.checks import Check, Key, by_key, compare_signals, only_abstentions
from marketgpt_signals.verify.futures import cut, poisoned_candles, poisoned_forecasts

CREATED_AT = datetime(2000, 1, 1, tzinfo=UTC)
_FIELDS = ("quantiles", "p_up", "aleatoric", "epistemic", "close")


def check_lookahead(
    strategy: SignalStrategy,
    forecast: Forecast,
    candles: Candles | None = None,
    *,
    num_moments: int = 8,
    seed: int = 0,
) -> list[Check]:
    """Change the future of a strategy in seven ways and demand the same signals, field by field.

    At each of some moments: data cut there (prefix invariance); forecasts made later reversed or shuffled;
    candles that ended later x3, x1/3, shuffled, not a number (poisoned future). What reads the future from
    elsewhere, a file of its own, cannot be seen this way.

    Args:
        strategy: Under test.
        forecast: Forecasts of several dates.
        candles: Candles that go on after them; None leaves their checks out.
        num_moments: Moments, spread over the forecast's; the last one has no future and is left out.
        seed: Of shuffles.
    """
    moments = moments_known(forecast, candles)
    chosen = spread_over(np.unique(moments)[:-1], num_moments)
    if not len(chosen):
        raise DataError("a look-ahead check needs forecasts of at least two dates")
    aligned = Aligned(candles) if candles is not None else None
    everything = by_key(signals_of(strategy, forecast, created_at=CREATED_AT, candles=candles))
    checks: dict[str, Check] = {}

    for number, moment in enumerate(chosen):
        known = moments <= moment
        past = forecast.rows(known)
        honest = _of_rows(everything, past)
        there = cut(candles, aligned, moment) if candles is not None and aligned is not None else None
        worlds: list[tuple[str, Forecast, Candles | None]] = [("prefix", past, there)]
        worlds += [
            (f"forecasts {kind}", other, candles)
            for kind, other in poisoned_forecasts(forecast, ~known, seed=seed + number)
        ]
        if candles is not None and aligned is not None:
            worlds += [
                (f"candles {kind}", past, other)
                for kind, other in poisoned_candles(candles, aligned, moment, seed=seed + number)
            ]
        for name, seen, world in worlds:
            check = checks.setdefault(name, Check(strategy.name, name, note=only_abstentions(everything)))
            _demand(check, honest, moment, partial(_made, strategy, seen, world))
    return list(checks.values())


def _made(strategy: SignalStrategy, forecast: Forecast, candles: Candles | None) -> list[Signal]:
    return signals_of(strategy, forecast, created_at=CREATED_AT, candles=candles)


def _of_rows(everything: dict[Key, Signal], past: Forecast) -> dict[Key, Signal]:
    pairs = {(symbol, iso(as_of)) for symbol, as_of in zip(past.symbols, past.as_of, strict=True)}
    return {key: signal for key, signal in everything.items() if key[:2] in pairs}


def _demand(
    check: Check, honest: dict[Key, Signal], moment: np.datetime64, make: Callable[[], list[Signal]]
) -> None:
    try:
        other = by_key(make())
    except Exception as error:  # noqa: BLE001 - what fails only in another future depends on it
        check.num_compared += len(honest)
        told = f"fails in a world known up to {iso(moment)}: {type(error).__name__}: {error}"
        check.differs(told, len(honest))
        return
    compare_signals(check, honest, other)


def spread_over(values: NDArray[np.datetime64], count: int) -> NDArray[np.datetime64]:
    """Return at most ``count`` of the values, evenly spread, the last one among them."""
    if len(values) <= count:
        return values
    places = np.unique(np.linspace(0, len(values) - 1, count + 1).round().astype(int))[1:]
    return np.asarray(values[places])


def check_forecaster_lookahead(
    forecaster: Forecaster,
    candles: Candles,
    *,
    as_of: Sequence[Moment],
    horizons: Sequence[int] = (1, 5),
    num_samples: int = 20,
    seed: int = 0,
) -> list[Check]:
    """Demand the same forecasts from candles cut at their as-of, and from candles that go on otherwise.

    Args:
        forecaster: Under test.
        candles: Candles that go on after the dates.
        as_of: Dates.
        horizons: Bars ahead.
        num_samples: Samples a forecast.
        seed: Of the forecaster, and of what the future is replaced by.
    """
    options = {"horizons": list(horizons), "num_samples": num_samples, "seed": seed}
    prefix, poison = (
        Check(forecaster.model_id, "prefix"),
        Check(forecaster.model_id, "candles replaced by wild ones"),
    )
    aligned = Aligned(candles)
    for date in as_of:
        honest = forecaster.forecast(candles, as_of=[date], **options)  # type: ignore[arg-type]
        for position, moment in enumerate(moments_known(honest, candles)):
            there = cut(candles, aligned, moment)
            where = f"{honest.symbols[position]} at {iso(honest.as_of[position])}"
            prefix.num_compared += 1
            try:
                other = forecaster.forecast(there, as_of=[date], **options)  # type: ignore[arg-type]
            except MarketGPTError as error:
                prefix.differs(f"{where}: fails on candles cut there: {error}")
                continue
            if told := _moved(honest, other, position):
                prefix.differs(f"{where}: {told}")
        poison.num_compared += len(honest)
        try:
            assert_no_lookahead(
                forecaster, candles, as_of=[date], horizons=horizons, num_samples=num_samples, seed=seed
            )
        except LeakError as error:
            poison.differs(str(error))
    return [prefix, poison]


def _moved(honest: Forecast, other: Forecast, position: int) -> str:
    pair = (honest.symbols[position], honest.as_of[position])
    same = [i for i, one in enumerate(zip(other.symbols, other.as_of, strict=True)) if one == pair]
    if not same:
        return "no forecast from candles cut there"
    for name in _FIELDS:
        before, after = getattr(honest, name)[position], getattr(other, name)[same[0]]
        if not np.array_equal(before, after):
            return f"{name} moves by up to {float(np.abs(np.asarray(after) - np.asarray(before)).max()):.3g}"
    return ""
