from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_core.testing import make_candles
from marketgpt_training.evaluation.pairs import Pairs
from marketgpt_training.evaluation.volatility import qlike, realised_variance, volatility_section

DATA = Path(__file__).parents[4] / "shared" / "data"


def asked(candles, horizons, first=300, step=7):
    pairs = [(s, one.time[r]) for s, one in candles.items() for r in range(first, len(one), step)]
    n, h = len(pairs), len(horizons)
    return Forecast(
        symbols=tuple(s for s, _ in pairs),
        as_of=np.array([d for _, d in pairs], dtype="datetime64[ns]"),
        close=np.ones(n),
        horizons=np.array(horizons),
        levels=np.array(QUANTILE_LEVELS),
        quantiles=np.zeros((n, h, len(QUANTILE_LEVELS))),
        p_up=np.full((n, h), 0.5),
        aleatoric=np.zeros((n, h)),
        epistemic=np.zeros((n, h)),
    )


def test_qlike_is_zero_for_the_truth_and_least_there_under_a_noisy_proxy():
    assert qlike(np.array([2.0]), np.array([2.0]))[0] == 0
    came = 4.0 * np.random.default_rng(0).gamma(2, 0.5, 100_000)  # unbiased, mean 4
    losses = {v: qlike(np.full_like(came, v), came).mean() for v in (3.0, 3.8, 4.0, 4.2, 5.0)}
    assert min(losses, key=losses.get) == 4.0


def test_what_came_is_the_scaled_sum_of_the_candles_after_the_as_of_one():
    candles = make_candles(("AAA", "BBB"), num_candles=700, seed=1)
    made = asked(candles, (1, 5))
    came = realised_variance(made, candles)
    series = candles["AAA"]
    squares = np.diff(np.log(series.close)) ** 2
    mine = [i for i, s in enumerate(made.symbols) if s == "AAA"]
    # The scale makes the proxy's mean that of the squared returns.
    assert np.nanmean(came[mine, 0]) == pytest.approx(squares[300:].mean(), rel=0.25)
    assert np.isnan(came[mine[-1]]).any()
    # Nothing up to the as-of candle counts: other prices there, the same relative moves later.
    later = series.time > made.as_of[mine[10]]
    moved = Candles([
        CandleSeries("AAA", series.interval, series.time,
                     *(np.where(later, getattr(series, n), getattr(series, n) * 1.0) for n in
                       ("open", "high", "low", "close")), series.volume),
        candles["BBB"],
    ])  # fmt: skip
    np.testing.assert_array_equal(realised_variance(made, moved), came)


def test_a_horizon_without_a_move_is_left_out():
    base = make_candles(("AAA",), num_candles=600, seed=2)["AAA"]
    still = np.arange(600) >= 500
    frozen = np.where(still, base.close[499], base.close)
    prices = [np.where(still, base.close[499], one) for one in (base.open, base.high, base.low)]
    candles = Candles([CandleSeries("AAA", base.interval, base.time, *prices, frozen, base.volume)])
    came = realised_variance(asked(candles, (1,), first=400, step=1), candles)[:, 0]
    assert np.isfinite(came[:99]).all()
    assert np.isnan(came[100:]).all()


def test_the_better_variance_wins_and_the_worse_is_said_to_lose():
    rng = np.random.default_rng(3)
    sigma2 = 1e-4 * np.exp(rng.normal(0, 0.7, 3_000))
    came = sigma2 * rng.gamma(4, 0.25, 3_000)
    days = np.datetime64("2010-01-01", "ns") + np.repeat(np.arange(600), 5).astype("timedelta64[D]")
    pairs = Pairs(
        1, rng.normal(0, np.sqrt(sigma2)), days, np.tile(np.arange(5), 600), np.full(3_000, "us"), 1, 0
    )
    came[7] = np.nan
    flat = np.full_like(sigma2, sigma2.mean())
    found = volatility_section({"model": sigma2, "garch_t": flat, "log_har": sigma2 * 1.0}, came, pairs)
    assert found["count"] == 2_999
    assert found["against"]["garch_t"]["verdict"] == "better"
    assert found["against"]["log_har"]["qlike_ratio"] == 1.0
    assert found["models"]["model"]["bias"] == pytest.approx(1, abs=0.05)
    assert found["squared_return_ratio"] == pytest.approx(1, abs=0.15)
    turned = volatility_section({"model": flat, "garch_t": sigma2}, came, pairs)
    assert turned["against"]["garch_t"]["verdict"] == "worse"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real candles at {DATA}")
def test_on_real_candles_the_proxy_has_the_mean_of_squared_returns():
    pd = pytest.importorskip("pandas")
    frame = pd.read_parquet(DATA / "fx.parquet")
    candles = Candles.from_frame(frame)
    made = asked(candles, (1,), step=3)
    came = realised_variance(made, candles)[:, 0]
    names = np.array(made.symbols)
    ratios = []
    for symbol, series in candles.items():
        squares = np.diff(np.log(series.close)) ** 2
        ratios.append(np.nanmean(came[names == symbol]) / squares.mean())
    assert np.median(ratios) == pytest.approx(1, abs=0.15)
