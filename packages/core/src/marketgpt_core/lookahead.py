"""A check that catches a forecaster which knows what it cannot know: change the future, see what moves.

It is meant to be run on any forecaster, ours or a third party's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import PRICES, Candles, CandleSeries, as_of_index
from marketgpt_core.errors import MarketGPTError
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.times import Moment, iso

_FIELDS = ("quantiles", "p_up", "aleatoric", "epistemic", "close")


class LeakError(MarketGPTError):
    """A forecast depends on what was not known when it was made."""


def assert_no_lookahead(
    forecaster: Forecaster,
    candles: Candles,
    *,
    as_of: Sequence[Moment],
    horizons: Sequence[int] = (1, 5),
    num_samples: int = 40,
    seed: int = 0,
) -> None:
    """Change every candle that was not known yet and demand the same forecasts, to the last bit.

    For each date and symbol what had not ended when the symbol's as-of candle ended is replaced: the
    symbol's own later candles, and those of others by their exchanges' hours, so that a forecast made at
    Paris' close must not see New York's session of the same date.

    Args:
        forecaster: Under test.
        candles: Real or simulated; they must go on after the dates.
        as_of: Dates.
        horizons: Bars ahead.
        num_samples: Samples a forecast.
        seed: Of the forecaster and of what the future is replaced with.

    Raises:
        LeakError: when a forecast moves; the message says whose, when and by how much.
    """
    aligned = Aligned(candles)
    options = {"horizons": horizons, "num_samples": num_samples, "seed": seed}
    for number, date in enumerate(as_of):
        honest = forecaster.forecast(candles, as_of=[date], **options)  # type: ignore[arg-type]
        # Symbols whose candles end together see the same world.
        worlds: dict[np.datetime64, list[int]] = {}
        for position, symbol in enumerate(honest.symbols):
            row = as_of_index(candles[symbol], honest.as_of[position])
            worlds.setdefault(aligned.known_at(symbol)[row], []).append(position)
        for moment, positions in worlds.items():
            changed = changed_after(candles, aligned, moment, seed=seed + number)
            other = forecaster.forecast(changed, as_of=[date], **options)  # type: ignore[arg-type]
            for position in positions:
                _compare(honest, other, position)


def changed_after(candles: Candles, aligned: Aligned, moment: np.datetime64, *, seed: int) -> Candles:
    """Return the candles with every one that was not known at a moment replaced by a wild one."""
    rng = np.random.default_rng(seed)

    def changed(one: CandleSeries) -> CandleSeries:
        late = aligned.known_at(one.symbol) > moment
        jumps = np.exp(np.cumsum(rng.normal(0.0, 0.3, late.sum())))
        # One factor a candle keeps it legal.
        factor = np.ones(len(one))
        factor[late] = np.clip(jumps, 1e-3, 1e3)
        volume = np.where(late, one.volume * rng.uniform(0.1, 10.0), one.volume)
        prices = {name: getattr(one, name) * factor for name in PRICES}
        return replace(one, volume=volume, **prices)

    return Candles(changed(one) for one in candles.values())


def _compare(honest: Forecast, other: Forecast, position: int) -> None:
    symbol, date = honest.symbols[position], honest.as_of[position]
    pairs = enumerate(zip(other.symbols, other.as_of, strict=True))
    same = [row for row, pair in pairs if pair == (symbol, date)]
    if not same:
        raise LeakError(f"{honest.model_id}: {symbol} at {iso(date)} has no forecast in another future")
    for name in _FIELDS:
        before, after = getattr(honest, name)[position], getattr(other, name)[same[0]]
        if not np.array_equal(before, after):
            most = float(np.abs(np.asarray(after) - np.asarray(before)).max())
            raise LeakError(
                f"{honest.model_id}: {name} of {symbol} at {iso(date)} moves by up to {most:.3g} when "
                "candles not known by then are changed"
            )
