from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources import open_source
from marketgpt_data_sources.sources.synthetic import Synthetic
from marketgpt_data_sources.testing import DataSourceConformance


def _open(law: str, **options: object) -> Synthetic:
    source = open_source(f"synthetic:{law}", options)
    assert isinstance(source, Synthetic)
    return source


class TestHours(DataSourceConformance):
    sample_interval = Interval.HOUR

    @pytest.fixture
    def implementation(self) -> Synthetic:
        return _open("garch_t", num_candles=200, calendar="XNYS")


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


def test_hours_and_days_only() -> None:
    source = _open("garch_t")
    assert source.symbols(Interval.HOUR) == source.symbols()
    assert source.symbols(Interval.MINUTE) == source.symbols(Interval.WEEK) == ()
    with pytest.raises(DataError, match="candles at 1h and 1d, not 1w"):
        source.fetch(["SYN000"], interval=Interval.WEEK)


def _within(values: np.ndarray, expected: float, blocks: int = 50) -> bool:
    """Whether a mean is within four standard errors, from the means of blocks longer than any memory."""
    means = values[: len(values) // blocks * blocks].reshape(blocks, -1).mean(axis=1)
    return bool(abs(means.mean() - expected) < 4 * means.std(ddof=1) / np.sqrt(blocks))


REGIMES = {"calm_days": 40.0, "turbulent_days": 10.0, "turbulence": 4.0, "turbulent_mean": -0.004}


def test_regimes_have_the_moments_of_their_mixture() -> None:
    mu, sigma, share = 0.0005, 0.015, 10 / 50
    source = _open(
        "regime_switching", num_candles=60_000, mean_log_return=mu, daily_volatility=sigma, **REGIMES
    )
    calm = (mu + share * 0.004) / (1 - share)
    between = share * (1 - share) * (calm + 0.004) ** 2
    variance = (sigma**2 - between) / (1 - share + share * 16)
    means, variances = np.array([calm, -0.004]) - mu, np.array([variance, 16 * variance])
    weights = np.array([1 - share, share])
    returns = _returns(source) - mu
    assert _within(returns, 0.0)
    assert _within(returns**2, sigma**2)
    assert _within(returns**3, float(weights @ (means**3 + 3 * means * variances)))
    assert _within(returns**4, float(weights @ (means**4 + 6 * means**2 * variances + 3 * variances**2)))
    # What the chain remembers after k days: (1 - 1/40 - 1/10)^k of the states' variance.
    for lag in (1, 5):
        memory = between * (1 - 1 / 40 - 1 / 10) ** lag
        assert _within(returns[lag:] * returns[:-lag], memory)


def test_regimes_truth_is_the_chain() -> None:
    source = _open("regime_switching", num_candles=60_000, **REGIMES)
    truth = source.truth("SYN000")
    assert truth.state is not None
    assert _within(truth.state.astype(float), 0.2)
    for state, leaving in ((0, 1 / 40), (1, 1 / 10)):
        left = truth.state[1:][truth.state[:-1] == state] != state
        assert abs(left.mean() - leaving) < 4 * np.sqrt(leaving * (1 - leaving) / len(left))
        days = truth.state == state
        sigma, mean = truth.sigma[days][0], truth.mean[days][0]
        assert (truth.sigma[days] == sigma).all()
        z = (_returns(source)[days[1:]] - mean) / sigma
        assert abs(z.mean()) < 4 / np.sqrt(len(z))
        assert z.var() == pytest.approx(1.0, abs=4 * np.sqrt(2 / len(z)))
    assert truth.sigma.max() == pytest.approx(4 * truth.sigma.min())


JUMPS = {"jumps_per_year": 63.0, "jump_mean": -0.01, "jump_volatility": 0.02}


def test_jumps_have_the_moments_of_their_law() -> None:
    mu, sigma, rate = 0.0005, 0.015, 63 / 252
    source = _open("jumps", num_candles=60_000, mean_log_return=mu, daily_volatility=sigma, **JUMPS)
    returns = _returns(source) - mu
    # Cumulants of a compound Poisson law are the rate times the moments of a jump.
    third = rate * ((-0.01) ** 3 + 3 * -0.01 * 0.02**2)
    fourth = rate * (0.01**4 + 6 * 0.01**2 * 0.02**2 + 3 * 0.02**4)
    assert _within(returns, 0.0)
    assert _within(returns**2, sigma**2)
    assert _within(returns**3, third)
    assert _within(returns**4, fourth + 3 * sigma**4)
    assert _within(returns[1:] ** 2 * returns[:-1] ** 2, sigma**4)


def test_jumps_are_told_day_by_day() -> None:
    source = _open("jumps", num_candles=60_000, **JUMPS)
    truth = source.truth("SYN000")
    assert truth.jumps is not None
    rate = 63 / 252
    for count in range(4):
        expected = np.exp(-rate) * rate**count / [1, 1, 2, 6][count]
        error = 4 * np.sqrt(expected * (1 - expected) / 60_000)
        assert (truth.jumps == count).mean() == pytest.approx(expected, abs=error)
    assert len(truth.jump_times) == (truth.jumps > 0).sum()
    assert (truth.sigma == 0.012).all()
    # Given their number, returns are normal about drift and jumps.
    returns, quiet = _returns(source), 0.012**2 - rate * (0.01**2 + 0.02**2)
    for count in (0, 1, 2):
        chosen = returns[truth.jumps[1:] == count]
        variance = quiet + count * 0.02**2
        error = 4 * np.sqrt(variance / len(chosen))
        assert chosen.mean() == pytest.approx((rate - count) * 0.01, abs=error)
        assert chosen.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / len(chosen)))


@pytest.mark.parametrize("law", ["regime_switching", "jumps"])
def test_symbols_are_independent(law: str) -> None:
    source = _open(law, num_candles=20_000)
    first, second = _returns(source, "SYN000"), _returns(source, "SYN001")
    for power in (1, 2):
        correlation = np.corrcoef(np.abs(first) ** power, np.abs(second) ** power)[0, 1]
        assert abs(correlation) < 4 / np.sqrt(len(first)) * (4 if law == "regime_switching" else 1)


@pytest.mark.parametrize(
    ("law", "options", "message"),
    [
        ("jumps", {"jump_mean": -0.2}, "the jumps alone bring a volatility of .* above daily_volatility"),
        ("regime_switching", {"turbulent_mean": 0.05}, "turbulent_mean alone brings a volatility"),
        ("regime_switching", {"calm_days": 1.0}, "calm_days: Input should be greater than 1"),
        ("poisson", {}, "law: "),
    ],
)
def test_impossible_states_and_jumps_are_refused(law: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _open(law, **options)


@pytest.mark.parametrize("law", ["random_walk", "garch_t", "regime_switching", "jumps"])
@pytest.mark.parametrize("calendar", ["weekdays", "XNYS", "24/7"])
def test_hours_join_to_their_days(law: str, calendar: str) -> None:
    source = _open(law, calendar=calendar, num_candles=300, start="2023-06-01", mean_log_return=0.001)
    days = source.fetch(["SYN002"])["SYN002"]
    hours = source.fetch(["SYN002"], interval=Interval.HOUR)["SYN002"]
    dates = trading_calendar(calendar).session_of(hours.time)
    starts = np.flatnonzero(np.r_[True, dates[1:] != dates[:-1]])
    ends = np.r_[starts[1:], len(hours)] - 1
    assert (dates[starts] == days.time.astype("datetime64[D]")).all()
    assert (hours.open[starts] == days.open).all()
    assert (hours.close[ends] == days.close).all()
    assert (np.maximum.reduceat(hours.high, starts) == days.high).all()
    assert (np.minimum.reduceat(hours.low, starts) == days.low).all()
    assert (np.add.reduceat(hours.volume, starts) == days.volume).all()
    # Variances and means of a day's hours add up to the day's.
    whole, parts = source.truth("SYN002"), source.truth("SYN002", Interval.HOUR)
    assert (parts.time == hours.time).all()
    assert np.add.reduceat(parts.sigma**2, starts) == pytest.approx(whole.sigma**2)
    assert np.add.reduceat(parts.mean, starts) == pytest.approx(whole.mean)
    if whole.jumps is not None:
        assert (np.add.reduceat(parts.jumps, starts) == whole.jumps).all()


def test_sessions_are_new_yorks() -> None:
    source = _open("random_walk", calendar="XNYS", num_candles=500, start="2023-06-30")
    days = [str(stamp)[:10] for stamp in source.fetch(["SYN000"])["SYN000"].time[:3]]
    assert days == ["2023-06-30", "2023-07-03", "2023-07-05"]
    hours = source.fetch(["SYN000"], start="2023-07-03", end="2023-07-06", interval=Interval.HOUR)["SYN000"]
    opens = [str(stamp)[5:16] for stamp in hours.time]
    # The third of July closes at one o'clock, 17:00 in UTC.
    assert opens[:5] == ["07-03T13:30", "07-03T14:30", "07-03T15:30", "07-03T16:30", "07-05T13:30"]
    assert opens[-1] == "07-05T19:30"
    winter = source.fetch(["SYN000"], start="2023-12-01", end="2023-12-02", interval=Interval.HOUR)["SYN000"]
    assert [str(stamp)[11:16] for stamp in winter.time][::6] == ["14:30", "20:30"]


def test_the_calendar_names_the_market() -> None:
    def category(**options: object) -> str:
        return str(_open("jumps", num_candles=5, **options).fetch(["SYN000"])["SYN000"].category)

    assert category() == "unknown"
    assert (category(calendar="XNYS"), category(calendar="24/7")) == ("us", "crypto")
    assert category(calendar="XNYS", category="etf") == "etf"


def test_mistakes_about_sessions_name_the_way_out() -> None:
    with pytest.raises(ConfigError, match="unknown trading calendar 'XNYSE'; did you mean 'XNYS'"):
        _open("jumps", calendar="XNYSE").fetch(["SYN000"])
    with pytest.raises(ConfigError, match="steps_per_day=8 leaves hours of 24/7 without a step; take 48"):
        _open("jumps", calendar="24/7", steps_per_day=8).fetch(["SYN000"], interval=Interval.HOUR)
    with pytest.raises(
        ConfigError, match=r"num_candles: 60000 sessions .* pass 2262-04-01; take \d+ or fewer"
    ):
        _open("jumps", num_candles=60_000, start="2100-01-01").fetch(["SYN000"])
