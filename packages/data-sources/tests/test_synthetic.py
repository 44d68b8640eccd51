from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources import open_source
from marketgpt_data_sources.sources.synthetic import Synthetic
from marketgpt_data_sources.testing import DataSourceConformance


def _open(law: str, **options: object) -> Synthetic:
    source = open_source(f"synthetic:{law}", options)
    assert isinstance(source, Synthetic)
    return source


class TestRandomWalk(DataSourceConformance):
    @pytest.fixture
    def implementation(self) -> Synthetic:
        return _open("random_walk")


class TestGarch(DataSourceConformance):
    @pytest.fixture
    def implementation(self) -> Synthetic:
        return _open("garch_t")


def _returns(source: Synthetic, symbol: str = "SYN000") -> np.ndarray:
    close = source.fetch([symbol])[symbol].close
    return np.diff(np.log(close))


def test_names_and_dates() -> None:
    source = _open("random_walk", num_symbols=12, num_candles=7, start="2024-03-02")
    assert source.symbols()[0] == "SYN000"
    assert source.symbols()[-1] == "SYN011"
    times = source.fetch(["SYN011"])["SYN011"].time
    # 2024-03-02 is a Saturday; a week later come Monday and Tuesday.
    assert [str(t)[:10] for t in times[[0, 4, 5, 6]]] == [
        "2024-03-04",
        "2024-03-08",
        "2024-03-11",
        "2024-03-12",
    ]


def test_the_seed_decides() -> None:
    first = _open("garch_t", seed=1).fetch(["SYN003"]).fingerprint()
    assert _open("garch_t", seed=1, num_symbols=4).fetch(["SYN003"]).fingerprint() == first
    assert _open("garch_t", seed=2).fetch(["SYN003"]).fingerprint() != first
    assert _open("random_walk", seed=1).fetch(["SYN003"]).fingerprint() != first


def test_random_walk_has_its_volatility_and_no_memory() -> None:
    source = _open("random_walk", num_candles=50_000, daily_volatility=0.02)
    returns = _returns(source)
    num = len(returns)
    assert returns.std() == pytest.approx(0.02, rel=4 / np.sqrt(2 * num))
    assert abs(returns.mean()) < 4 * 0.02 / np.sqrt(num)
    for series in (returns, returns**2):
        centred = series - series.mean()
        correlation = (centred[1:] * centred[:-1]).mean() / centred.var()
        assert abs(correlation) < 4 / np.sqrt(num)
    truth = source.truth("SYN000")
    assert (truth.sigma == 0.02).all()
    assert truth.degrees_of_freedom is None


def test_garch_volatility_follows_its_recursion_on_the_candles_themselves() -> None:
    options = {"alpha": 0.1, "beta": 0.85, "daily_volatility": 0.015, "mean_log_return": 0.0005}
    source = _open("garch_t", num_candles=3_000, **options)
    sigma = source.truth("SYN001").sigma
    shocks = _returns(source, "SYN001") - 0.0005
    omega = (1 - 0.1 - 0.85) * 0.015**2
    assert sigma[0] == 0.015
    # Known the evening before: from what happened up to the close before.
    expected = np.sqrt(omega + 0.1 * shocks**2 + 0.85 * sigma[1:] ** 2)
    assert sigma[2:] == pytest.approx(expected[:-1], rel=1e-9)


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """Kolmogorov and Smirnov's distance of two samples, in units whose 0.1% point is 1.95."""
    grid = np.concatenate([first, second])
    shares = [
        np.searchsorted(np.sort(sample), grid, side="right") / len(sample) for sample in (first, second)
    ]
    size = len(first) * len(second) / (len(first) + len(second))
    return float(np.abs(shares[0] - shares[1]).max() * np.sqrt(size))


def test_garch_shocks_are_student_t_of_unit_variance() -> None:
    source = _open("garch_t", num_candles=40_000, degrees_of_freedom=5.0, daily_volatility=0.005)
    z = _returns(source) / source.truth("SYN000").sigma[1:]
    rng = np.random.default_rng(1)
    assert _distance(z, rng.standard_t(5.0, 200_000) * np.sqrt(3.0 / 5.0)) < 1.95
    # And the test can tell: a normal of the same variance does not fit.
    assert _distance(z, rng.normal(size=200_000)) > 3


def test_overnight_share_is_the_gaps_share_of_variance() -> None:
    series = _open("random_walk", num_candles=40_000, overnight_share=0.3).fetch(["SYN000"])["SYN000"]
    gaps = np.log(series.open[1:] / series.close[:-1])
    bodies = np.log(series.close / series.open)
    assert gaps.var() / (gaps.var() + bodies.var()) == pytest.approx(0.3, abs=0.01)


def test_range_nears_that_of_brownian_motion() -> None:
    series = _open("random_walk", num_candles=4_000, overnight_share=0.0, steps_per_day=1_000).fetch(
        ["SYN000"]
    )
    ranges = np.log(series["SYN000"].high / series["SYN000"].low)
    # Parkinson 1980: E[range^2] = 4 ln 2 sigma^2; a thousand steps miss a few percent of it.
    assert (ranges**2).mean() / (4 * np.log(2) * 0.012**2) == pytest.approx(0.96, abs=0.04)


def test_mean_is_added_to_every_candle() -> None:
    quiet = _returns(_open("garch_t", num_candles=500))
    drifting = _returns(_open("garch_t", num_candles=500, mean_log_return=0.001))
    assert drifting - quiet == pytest.approx(np.full(499, 0.001))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.2, "beta": 0.85}, r"alpha \+ beta must be below 1, got 1.05"),
        ({"degrees_of_freedom": 2.0}, "degrees_of_freedom: Input should be greater than 2"),
        ({"num_symbols": 0}, "num_symbols"),
        ({"alhpa": 0.2}, "did you mean 'alpha'"),
    ],
)
def test_impossible_laws_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _open("garch_t", **options)


def test_days_only() -> None:
    source = _open("garch_t")
    assert source.symbols(Interval.HOUR) == ()
    with pytest.raises(DataError, match="candles at 1d only, not 1h"):
        source.fetch(["SYN000"], interval=Interval.HOUR)
