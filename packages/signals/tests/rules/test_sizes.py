"""Kelly against brute force and closed forms, sizes against volatility, and sizes in a backtest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketgpt_core.signal import Side
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.backtest import weights_from_signals
from marketgpt_signals.registry import strategies
from marketgpt_signals.rules.kelly import growth_optimal
from marketgpt_signals.testing import CREATED_AT


def one(name: str, *, drift: float = 0.002, volatility: float = 0.01, horizon: int = 10, **options: object):
    forecast = make_forecast(
        ["AAA"], as_of=["2016-01-04"], horizons=[horizon], drift=drift, daily_volatility=volatility
    )
    (signal,) = strategies().create(name, options).signals(forecast, created_at=CREATED_AT)
    return signal, forecast


def test_kelly_of_a_coin():
    """Kelly 1956: a coin that pays even money with probability p is worth f = 2 p - 1."""
    for p in (0.51, 0.6, 0.9):
        assert growth_optimal(np.array([1.0, -1.0]), np.array([p, 1 - p])) == pytest.approx(2 * p - 1)
    assert growth_optimal(np.array([1.0, -1.0]), np.array([0.5, 0.5])) == 0.0
    # Odds of b to 1: f = (b p - q) / b.
    assert growth_optimal(np.array([3.0, -1.0]), np.array([0.4, 0.6])) == pytest.approx((3 * 0.4 - 0.6) / 3)


def test_kelly_is_the_best_of_a_fine_grid():
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 20_001)
    for _ in range(20):
        outcomes, weights = rng.normal(0.01, 0.15, 27), rng.dirichlet(np.ones(27))
        growth = np.log1p(grid[:, None] * outcomes) @ weights
        assert growth_optimal(outcomes, weights) == pytest.approx(grid[growth.argmax()], abs=1e-4)


def test_gaussian_kelly_is_drift_over_variance():
    signal, _ = one(
        "kelly", drift=0.0002, volatility=0.02, method="gaussian", shrink=1.0, fraction=0.5,
        round_trip_cost_bps=0.0,
    )  # fmt: skip
    # Continuous time (Thorp 2006): f = mu / sigma^2 with mu = drift + sigma^2 / 2, here of sampled paths.
    assert signal.side is Side.LONG
    law, _ = one("kelly", drift=0.0002, volatility=0.02, shrink=1.0, fraction=0.5, round_trip_cost_bps=0.0)
    assert signal.size == pytest.approx(law.size, rel=0.1)


def test_costs_and_shrinkage_make_it_smaller_and_the_cap_caps():
    sizes = [one("kelly", drift=0.001, volatility=0.04, shrink=s)[0].size for s in (1.0, 0.5)]
    assert sizes[0] > sizes[1] > 0
    dear, _ = one("kelly", drift=0.001, volatility=0.04, shrink=1.0, round_trip_cost_bps=60.0)
    assert dear.size < sizes[0]
    assert one("kelly", round_trip_cost_bps=500.0)[0].side is Side.FLAT
    assert one("kelly", max_size=0.1)[0].size == 0.1
    assert one("kelly", drift=-0.002)[0].side is Side.SHORT
    assert one("kelly", drift=-0.002, borrow_bps_per_year=50_000)[0].side is Side.FLAT


def test_convexity_alone_is_no_view():
    """A symmetric law of log returns has a positive mean of simple ones; P(up) must say so, too."""
    forecast = make_forecast(["AAA"], as_of=["2016-01-04"], horizons=[42], daily_volatility=0.05)
    half = (forecast.quantiles - forecast.quantiles[..., ::-1]) / 2
    toss = replace(forecast, quantiles=half, p_up=np.array([[0.5]]))
    (signal,) = strategies().create("kelly").signals(toss, created_at=CREATED_AT)
    assert signal.side is Side.FLAT


@pytest.mark.parametrize(("symbol", "bars"), [("AAA", 252), ("BTC-USD", 365)])
def test_size_is_target_over_forecast_volatility(symbol, bars):
    forecast = make_forecast([symbol], as_of=["2016-01-04"], horizons=[10], drift=0.002)
    made = strategies().create("volatility_target", {"target_volatility": 0.05})
    (signal,) = made.signals(forecast, created_at=CREATED_AT)
    sigma = np.hypot(forecast.aleatoric[0, 0], forecast.epistemic[0, 0]) * np.sqrt(bars / 10)
    assert signal.size == pytest.approx(0.05 / sigma)
    assert one("volatility_target", volatility=0.001)[0].size == 1.0


def test_half_a_size_is_half_a_position():
    candles = make_candles(["AAA"], num_candles=60)
    days = [str(day)[:10] for day in candles["AAA"].time[:20]]
    forecast = make_forecast(["AAA"], as_of=days, horizons=[5], drift=0.01)
    full = strategies().create("threshold").signals(forecast, created_at=CREATED_AT)
    half = [replace(signal, size=0.5) for signal in full]
    plans = [weights_from_signals(made, candles, horizon_bars=5).weights for made in (full, half)]
    assert plans[0].max() == pytest.approx(1.0)
    assert plans[1] == pytest.approx(plans[0] / 2)


def test_rank_is_neutral():
    symbols = [f"S{i}" for i in range(10)]
    plain = make_forecast(symbols, as_of=["2016-01-04"], horizons=[5])
    tilt = np.linspace(0.05, -0.05, 10)
    spread = np.linspace(0.01, 0.1, 10)[:, None]
    forecast = replace(plain, quantiles=plain.quantiles + tilt[:, None, None], aleatoric=spread)

    def legs(neutral: str):
        rule = strategies().create("rank", {"share": 0.3, "neutral": neutral})
        made = rule.signals(forecast, created_at=CREATED_AT)
        return [
            [(s.size, spread[i, 0]) for i, s in enumerate(made) if s.side is side]
            for side in (Side.LONG, Side.SHORT)
        ]

    longs, shorts = legs("dollar")
    assert [size for size, _ in longs] == [size for size, _ in shorts] == [1.0] * 3
    longs, shorts = legs("volatility")
    risks = [size * np.hypot(risk, 0) for size, risk in [*longs, *shorts]]
    assert len(risks) == 6
    assert risks == pytest.approx([risks[0]] * 6, rel=0.02)
    assert max(size for size, _ in [*longs, *shorts]) == 1.0
