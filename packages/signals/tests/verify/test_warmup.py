from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketgpt_core.signal import Side
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.base import Decision, StrategyConfig, ViewStrategy
from marketgpt_signals.registry import strategies
from marketgpt_signals.rules.threshold import ProbabilityThreshold
from marketgpt_signals.verify.simulated import simulated
from marketgpt_signals.verify.warmup import Deviation, check_forecaster_warmup, check_warmup, least_history


@pytest.fixture(scope="module")
def data():
    return simulated(200, horizons=(1,), num_dates=8)


@pytest.mark.parametrize("window", [5, 20, 50])
def test_bands_need_their_window_and_say_so(data, window):
    check = check_warmup(strategies().create("bollinger", {"window": window, "width": 0.3}), *data)
    assert check.passed
    assert check.details["declared"] == window
    assert window / 2 < check.details["least_history"] <= window
    short = [one for one in check.details["deviations"] if one["bars"] < window / 2]
    assert all(one["num_different"] for one in short)


def test_a_rule_without_history_needs_one_bar(data):
    check = check_warmup(strategies().create("threshold"), *data)
    assert check.passed
    assert check.details["least_history"] == 1


class Exponential(ViewStrategy):
    """An exponential average with a half-life of 40 bars that says it reads ten, and takes all it finds."""

    name = "exponential"
    Config = StrategyConfig
    history_bars = 10

    def judge(self, view, column):
        raise NotImplementedError

    def signals(self, forecast, *, created_at, candles=None):
        made = ProbabilityThreshold(ProbabilityThreshold.Config()).signals(forecast, created_at=created_at)
        result = []
        for signal in made:
            close = candles[signal.symbol].until(signal.as_of).close
            weights = 0.5 ** (np.arange(len(close))[::-1] / 40)
            distance = close[-1] / ((weights @ close) / weights.sum()) - 1
            size = float(np.clip(0.5 + 5 * distance, 0.01, 1.0))
            result.append(replace(signal, side=Side.LONG, size=size, strategy=self.name))
        return result


def test_a_history_said_too_short_is_caught(data):
    check = check_warmup(Exponential(StrategyConfig()), *data, tolerance=0.01)
    assert not check.passed
    assert check.details["least_history"] > 40
    assert "off by" in check.first
    sizes = [one["largest"] for one in check.details["deviations"] if one["bars"] >= 20]
    assert sizes == sorted(sizes, reverse=True)


class Remembering(ProbabilityThreshold):
    """Averages P(up) over the last five dates of the forecast."""

    def signals(self, forecast, *, created_at):
        names, smooth = np.array(forecast.symbols), forecast.p_up.copy()
        for i, symbol in enumerate(forecast.symbols):
            mine = (names == symbol) & (forecast.as_of <= forecast.as_of[i])
            smooth[i] = forecast.p_up[mine][-5:].mean(axis=0)
        return super().signals(replace(forecast, p_up=smooth), created_at=created_at)


def test_a_memory_of_earlier_forecasts_is_found(data):
    check = check_warmup(Remembering(ProbabilityThreshold.Config()), *data)
    assert not check.passed
    assert check.details["least_history"] == 5


def test_least_history_is_from_where_on_nothing_differs():
    def made(*different):
        return [Deviation(bars, 10, d, 0.0) for bars, d in zip((1, 2, 5, 10), different, strict=True)]

    assert least_history(made(3, 0, 1, 0)) == 10
    assert least_history(made(3, 0, 0, 0)) == 2
    assert least_history(made(0, 0, 0, 1)) is None


class Averaging:
    """Forecasts the average return of the last ``needs`` candles; asks for ten."""

    min_history = 10
    model_id = "averaging"

    def __init__(self, needs: int) -> None:
        self.needs = needs

    def forecast(self, candles, *, horizons, as_of=None, symbols=None, num_samples=200, seed=0):
        made = make_forecast(candles.symbols, as_of=[as_of[0]], horizons=horizons, num_samples=80, seed=seed)
        drift = [
            np.diff(np.log(candles[symbol].until(as_of[0]).close))[-self.needs :].sum()
            for symbol in candles.symbols
        ]
        return replace(made, quantiles=made.quantiles + np.array(drift)[:, None, None])


def test_a_forecasters_history_is_found():
    candles = make_candles(["AAA", "BBB"], num_candles=400)
    days = [str(day)[:10] for day in candles["AAA"].time[[300, 399]]]
    check = check_forecaster_warmup(Averaging(50), candles, as_of=days)
    assert check.passed
    assert check.details["declared"] == 10
    assert check.details["least_history"] == 60
    endless = check_forecaster_warmup(Averaging(1_000), candles, as_of=days, tolerance=1e-12)
    assert not endless.passed


def test_decisions_of_another_number_are_refused(data):
    class Short(ViewStrategy):
        name = "short"
        Config = StrategyConfig

        def judge(self, view, column):
            return [Decision(Side.FLAT, 0.0, "one")] * 2

    from marketgpt_core.errors import PluginError

    with pytest.raises(PluginError, match="strategy short: 2 decisions for 1 rows"):
        check_warmup(Short(StrategyConfig()), *data)
