"""A made-up market whose next day a forecast knows, but only where it is sure; and one that nobody knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.tuning.search import Question, TuneConfig
from marketgpt_signals.tuning.space import Range

UNTIL = datetime(2017, 5, 1, tzinfo=UTC)
EARLY = datetime(2016, 10, 3, tzinfo=UTC)
SPACE = {"long_threshold": Range(0.51, 0.75), "short_threshold": Range(0.25, 0.49)}


def make_world(
    num_bars: int = 700, *, edge: float, sure: float = 0.12, seed: int = 0
) -> tuple[Forecast, Candles]:
    """Return forecasts of one bar and candles.

    Where |P(up) - 1/2| exceeds ``sure`` the next day's move has a mean of ``edge`` to that side; nearer to a
    half it goes the other way by half of that, so that the default thresholds lose.
    """
    rng = np.random.default_rng(seed)
    symbols = ("AAA", "BBB")
    plain = make_candles(symbols, num_candles=num_bars, start="2016-01-04", seed=seed)
    views = rng.uniform(-0.2, 0.2, (len(symbols), num_bars))
    made = []
    for view, series in zip(views, plain.values(), strict=True):
        drift = np.where(abs(view) > sure, edge * np.sign(view), -0.5 * edge * np.sign(view))
        moves = rng.normal(0, 0.01, num_bars) + np.append(0.0, drift[:-1])
        close = 100 * np.exp(np.cumsum(moves))
        before = np.append(100.0, close[:-1])  # opens where it closed
        high, low = np.maximum(close, before) * 1.001, np.minimum(close, before) * 0.999
        made.append(replace(series, open=before, high=high, low=low, close=close))
    candles = Candles(made)
    days = [str(moment)[:10] for moment in candles["AAA"].time[:-3]]
    forecast = make_forecast(symbols, as_of=days, horizons=(1, 5), num_samples=200, seed=seed)
    row = {symbol: number for number, symbol in enumerate(symbols)}
    at = np.searchsorted(candles["AAA"].time, forecast.as_of)
    mine = np.array([views[row[symbol], bar] for symbol, bar in zip(forecast.symbols, at, strict=True)])
    close = np.array([candles[symbol].close[bar] for symbol, bar in zip(forecast.symbols, at, strict=True)])
    middle = forecast.quantiles - np.median(forecast.quantiles, axis=-1, keepdims=True)
    return (
        replace(
            forecast,
            close=close,
            p_up=np.repeat(0.5 + mine[:, None], 2, axis=1),
            quantiles=middle + np.sign(mine)[:, None, None] * 0.003,  # beats the costs
        ),
        candles,
    )


@pytest.fixture(scope="session")
def world():
    return make_world


@pytest.fixture(scope="session")
def planted():
    return make_world(600, edge=0.008)


@pytest.fixture(scope="session")
def small():
    """A world that is quickly searched; ask until :data:`EARLY`."""
    return make_world(330, edge=0.004)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def ask():
    def question(made: tuple[Forecast, Candles], **changes) -> Question:
        until = UNTIL if len(made[1]["AAA"]) > 400 else EARLY
        asked = {"until": until, "horizon_bars": 1, "num_trials": 12, "num_folds": 4, "num_resamples": 100}
        space = changes.pop("space", SPACE)
        fixed = changes.pop("fixed", {})
        strategy = changes.pop("strategy", "threshold")
        return Question(strategy, space, fixed, *made, TuneConfig(**(asked | changes)))

    return question
