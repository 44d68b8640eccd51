from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_forecast
from marketgpt_signals.base import Decision, SignalStrategy, StrategyConfig, price_bands
from marketgpt_signals.testing import CREATED_AT


class Recorder(SignalStrategy):
    """Says LONG and remembers what it was shown."""

    name = "recorder"
    Config = StrategyConfig

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)
        self.shown: list[Forecast] = []

    def decide(self, row: Forecast, column: int) -> Decision:
        self.shown.append(row)
        return Decision(Side.LONG, 0.5, f"column {column}")


def test_a_strategy_is_shown_one_row_at_a_time():
    strategy = Recorder(StrategyConfig())
    signals = strategy.signals(make_forecast(), created_at=CREATED_AT)
    assert len(signals) == 4 * 3
    assert {len(row) for row in strategy.shown} == {1}
    assert [s.horizon_bars for s in signals[:3]] == [1, 5, 10]
    assert [s.symbol for s in signals[::3]] == ["AAA", "BBB", "AAA", "BBB"]


def test_only_the_horizons_asked_for():
    signals = Recorder(StrategyConfig(horizons=(10, 1))).signals(make_forecast(), created_at=CREATED_AT)
    assert [s.horizon_bars for s in signals[:2]] == [10, 1]
    assert len(signals) == 4 * 2
    with pytest.raises(DataError, match=r"no forecast for 3 bars; there are \[1, 5, 10\]"):
        Recorder(StrategyConfig(horizons=(3,))).signals(make_forecast(), created_at=CREATED_AT)


def test_bands_are_quantiles_as_prices():
    forecast = make_forecast(symbols=["AAA"], as_of=["2016-01-04"])
    bands = price_bands(forecast)
    assert bands.shape == (1, 3, 5)
    low = forecast.quantiles[0, 2, list(forecast.levels).index(0.05)]
    assert bands[0, 2, 0] == pytest.approx(100 * np.exp(low))
    signal = Recorder(StrategyConfig()).signals(forecast, created_at=CREATED_AT)[2]
    assert signal.bands.q05 == bands[0, 2, 0]
    assert signal.bands.q95 == bands[0, 2, 4]


def test_bands_keep_their_order_among_ties():
    forecast = make_forecast()
    tied = replace(forecast, quantiles=np.full_like(forecast.quantiles, 0.1 + 0.2))
    assert (np.diff(price_bands(tied), axis=-1) >= 0).all()
    assert len(Recorder(StrategyConfig()).signals(tied, created_at=CREATED_AT)) == 12


@pytest.mark.parametrize("close", [np.nan, 0.0, -3.0, np.inf])
def test_a_row_without_a_price_is_named(close):
    forecast = make_forecast()
    broken = replace(forecast, close=np.array([100.0, 100.0, close, 100.0]))
    with pytest.raises(DataError, match=r"AAA at 2016-01-05, 1 bars, close"):
        Recorder(StrategyConfig()).signals(broken, created_at=CREATED_AT)


def test_an_absurd_quantile_is_named_and_not_a_warning():
    forecast = make_forecast()
    with pytest.raises(DataError, match="AAA at 2016-01-04, 1 bars"):
        Recorder(StrategyConfig()).signals(
            replace(forecast, quantiles=forecast.quantiles + 1_000), created_at=CREATED_AT
        )
