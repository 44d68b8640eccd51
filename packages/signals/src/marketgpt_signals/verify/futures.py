"""Other futures: data cut at a moment, and data in which everything after it is wrong. N rows, T candles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import FIELDS, PRICES, Candles, CandleSeries
from marketgpt_core.forecast import Forecast

Late = NDArray[np.bool_]


def cut(candles: Candles, aligned: Aligned, moment: np.datetime64) -> Candles:
    """Return the candles that had ended by a moment."""
    kept = (one[: int((aligned.known_at(one.symbol) <= moment).sum())] for one in candles.values())
    return Candles((one for one in kept if len(one)), interval=candles.interval)


def poisoned_candles(
    candles: Candles, aligned: Aligned, moment: np.datetime64, *, seed: int
) -> Iterator[tuple[str, Candles]]:
    """Yield candles whose part after a moment is three times as high, a third, shuffled, or not a number."""
    rng = np.random.default_rng(seed)
    kinds: dict[str, Callable[[CandleSeries, Late], CandleSeries]] = {
        "x3": lambda one, late: _scaled(one, late, 3.0),
        "x1/3": lambda one, late: _scaled(one, late, 1 / 3),
        "shuffled": lambda one, late: _shuffled(one, late, rng),
    }
    for name, change in kinds.items():
        yield name, Candles(change(one, aligned.known_at(one.symbol) > moment) for one in candles.values())
    # Candles refuse what is not a number, so it is written into valid ones afterwards.
    copies = Candles(_scaled(one, np.zeros(len(one), dtype=bool), 1.0) for one in candles.values())
    for one in copies.values():
        for field in PRICES:
            getattr(one, field)[aligned.known_at(one.symbol) > moment] = np.nan
    yield "NaN", copies


def _scaled(one: CandleSeries, late: Late, factor: float) -> CandleSeries:
    by_row = np.where(late, factor, 1.0)
    return replace(one, **{field: getattr(one, field) * by_row for field in PRICES})


def _shuffled(one: CandleSeries, late: Late, rng: np.random.Generator) -> CandleSeries:
    order = np.arange(len(one))
    order[late] = rng.permutation(order[late])
    return replace(one, **{field: getattr(one, field)[order] for field in FIELDS})


def poisoned_forecasts(forecast: Forecast, late: Late, *, seed: int) -> Iterator[tuple[str, Forecast]]:
    """Yield forecasts whose late rows say the opposite three times as loud, or are shuffled by symbol.

    Args:
        forecast: N rows.
        late: shape (N,): which rows were not known yet.
        seed: Of the shuffle.
    """
    rows = late[:, None]
    yield (
        "x-3",
        replace(
            forecast,
            quantiles=np.where(rows[..., None], -3 * forecast.quantiles[..., ::-1], forecast.quantiles),
            p_up=np.where(rows, 1 - forecast.p_up, forecast.p_up),
            aleatoric=np.where(rows, 3 * forecast.aleatoric, forecast.aleatoric),
            epistemic=np.where(rows, 0.0, forecast.epistemic),
            close=np.where(late, 3 * forecast.close, forecast.close),
        ),
    )
    rng, order = np.random.default_rng(seed), np.arange(len(forecast))
    for symbol in dict.fromkeys(forecast.symbols):
        mine = late & np.array([name == symbol for name in forecast.symbols])
        order[mine] = rng.permutation(order[mine])
    moved = forecast.rows(order)
    yield "shuffled", replace(moved, as_of=forecast.as_of, symbols=forecast.symbols)
