"""Planted leaks are caught, whatever the symbols, dates and seeds; what is clean passes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_core.times import to_datetime64
from marketgpt_signals.base import SignalStrategy, StrategyConfig
from marketgpt_signals.registry import strategies
from marketgpt_signals.rules.threshold import ProbabilityThreshold
from marketgpt_signals.verify.lookahead import check_forecaster_lookahead, check_lookahead
from marketgpt_signals.verify.simulated import simulated


class Leaky(SignalStrategy):
    """Acts on a score made of all the candles it is given: only how the score is made leaks, or does not."""

    name = "leaky"
    Config = StrategyConfig

    def decide(self, row, column):
        raise NotImplementedError

    def signals(self, forecast, *, created_at, candles=None):
        made = ProbabilityThreshold(ProbabilityThreshold.Config()).signals(forecast, created_at=created_at)
        scores = {symbol: self.score(series) for symbol, series in candles.items()}
        result = []
        for signal in made:
            series = candles[signal.symbol]
            row = int(np.searchsorted(series.time, to_datetime64(signal.as_of)))
            side = Side.LONG if scores[signal.symbol][row] > 0 else Side.FLAT
            result.append(replace(signal, side=side, strategy=self.name, reason="because of the score"))
        return result


class OneBarAhead(Leaky):
    """Knows the next close."""

    def score(self, series):
        return np.append(np.diff(np.log(series.close)), 0.0)


class CentredAverage(Leaky):
    """A moving average that reaches three bars ahead."""

    def score(self, series):
        padded = np.pad(series.close, 3, mode="edge")
        return series.close - np.convolve(padded, np.ones(7) / 7, "valid")


class WholeSampleZScore(Leaky):
    """Normalised by mean and deviation of all there is, the future included."""

    def score(self, series):
        return (series.close - series.close.mean()) / series.close.std() - 0.1


class MinMaxScaling(Leaky):
    """Scaled by the lowest and highest price of all there is."""

    def score(self, series):
        return (series.close - series.low.min()) / (series.high.max() - series.low.min()) - 0.5


class FilledBackwards(Leaky):
    """Fills a gap with what came after it: five bars' lows known at the first of them."""

    def score(self, series):
        padded = np.append(series.low, np.full(4, series.low[-1]))
        return np.lib.stride_tricks.sliding_window_view(padded, 5).min(axis=1) - 0.98 * series.close


class TrailingAverage(Leaky):
    """Clean: an average of what has been."""

    def score(self, series):
        return series.close - np.convolve(np.pad(series.close, (6, 0), mode="edge"), np.ones(7) / 7, "valid")


class LaterForecast(ProbabilityThreshold):
    """Takes P(up) of the next row of the symbol."""

    def signals(self, forecast, *, created_at):
        later = [
            max(np.flatnonzero(np.array(forecast.symbols) == symbol), default=i)
            for i, symbol in enumerate(forecast.symbols)
        ]
        moved = replace(forecast, p_up=forecast.p_up[later])
        return super().signals(moved, created_at=created_at)


LEAKS = [OneBarAhead, CentredAverage, WholeSampleZScore, MinMaxScaling, FilledBackwards, LaterForecast]


@cache
def data(seed: int):
    return simulated(20, horizons=(1,), num_dates=10, seed=seed)


def failed(strategy, seed: int, **how) -> set[str]:
    forecast, candles = data(seed)
    return {c.name for c in check_lookahead(strategy, forecast, candles, seed=seed, **how) if not c.passed}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_caught_every_time(leak, seed):
    strategy = leak(leak.Config())
    assert failed(strategy, seed, num_moments=4)


@pytest.mark.parametrize("leak", [OneBarAhead, CentredAverage, WholeSampleZScore, MinMaxScaling])
def test_one_symbol_and_few_moments_are_enough(leak):
    candles = make_candles(["AAA"], num_candles=300)
    days = [str(day)[:10] for day in candles["AAA"].time[200:230]]
    forecast = make_forecast(["AAA"], as_of=days, horizons=[1], num_samples=200)
    checks = check_lookahead(leak(StrategyConfig()), forecast, candles, num_moments=5)
    assert not all(check.passed for check in checks)


@pytest.mark.parametrize("seed", range(2))
def test_the_clean_pass(seed):
    assert failed(TrailingAverage(StrategyConfig()), seed) == set()
    for name in ("threshold", "rank", "bollinger"):
        assert failed(strategies().create(name), seed, num_moments=4) == set()


def test_the_first_difference_is_told():
    forecast, candles = data(0)
    check = next(c for c in check_lookahead(OneBarAhead(StrategyConfig()), forecast, candles) if not c.passed)
    assert "side LONG becomes FLAT" in check.first or "side FLAT becomes LONG" in check.first
    assert check.num_different <= check.num_compared
    assert check.to_json()["passed"] is False


def test_a_strategy_that_only_abstains_is_told():
    forecast, candles = data(0)
    timid = strategies().create("threshold", {"long_threshold": 1.0, "short_threshold": 0.0})
    assert (
        check_lookahead(timid, forecast, candles)[0].note == "it only abstained: nothing was put to the test"
    )
    with pytest.raises(DataError, match="at least two dates"):
        check_lookahead(timid, forecast.rows(forecast.as_of == forecast.as_of[0]))


class Naive:
    """A normal law around a past return, or around the next one."""

    min_history = 5

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.model_id = f"naive-{ahead}"

    def forecast(self, candles, *, horizons, as_of=None, symbols=None, num_samples=200, seed=0):
        made = make_forecast(candles.symbols, as_of=[as_of[0]], horizons=horizons, num_samples=80, seed=seed)
        shift = []
        for symbol in candles.symbols:
            series = candles[symbol]
            row = int(np.searchsorted(series.time, to_datetime64(as_of[0]))) + self.ahead
            row = min(row, len(series) - 1)
            shift.append(np.log(series.close[row] / series.close[row - 1]))
        return replace(
            made, quantiles=made.quantiles + np.array(shift)[:, None, None], model_id=self.model_id
        )


def test_a_forecaster_goes_through_the_same():
    candles = make_candles(["AAA", "BBB"], num_candles=100)
    days = [str(day)[:10] for day in candles["AAA"].time[[60, 80]]]
    clean, leaking = (check_forecaster_lookahead(Naive(ahead), candles, as_of=days) for ahead in (0, 1))
    assert [check.passed for check in clean] == [True, True]
    assert [check.passed for check in leaking] == [False, False]
    assert "quantiles" in leaking[0].first
    assert isinstance(Naive(0).forecast(candles, horizons=[1], as_of=days), Forecast)
