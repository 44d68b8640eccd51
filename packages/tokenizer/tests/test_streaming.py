"""Encoding candle by candle gives what encoding the whole gives, to the last bit."""

from __future__ import annotations

import platform
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core import Candles, CandleSeries, DataError
from marketgpt_core.errors import CandleError
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import TokenSeries
from marketgpt_tokenizer import OHLCTokenizer
from marketgpt_tokenizer.streaming import RunningMean
from marketgpt_tokenizer.volatility import exponential_mean

# Where the compiler may fuse a multiplication and an addition, pandas' loop and ours differ in a last bit.
EXACT = platform.machine() in {"x86_64", "AMD64"}


@pytest.fixture(scope="module")
def candles() -> Candles:
    return make_candles(("AAA", "BBB", "CCC"), num_candles=700)


@pytest.fixture(scope="module", params=[0, 24])
def fitted(request: pytest.FixtureRequest, candles: Candles) -> OHLCTokenizer:
    return OHLCTokenizer(OHLCTokenizer.Config(volume_bins=request.param)).fit(candles)


def assert_same(ours: TokenSeries, theirs: TokenSeries) -> None:
    for name in ("time", "tokens", "channels", "sigma", "next_sigma", "slow_sigma", "close"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert one.dtype == other.dtype
        if EXACT or one.dtype.kind in "iM":
            assert np.array_equal(one, other), name
        else:
            assert one == pytest.approx(other, rel=1e-12), name


def tail_of(rows: TokenSeries, start: int) -> TokenSeries:
    names = ("time", "tokens", "channels", "sigma", "next_sigma", "slow_sigma", "close")
    return replace(rows, **{name: getattr(rows, name)[start:] for name in names})


def joined(rows: list[TokenSeries]) -> TokenSeries:
    names = ("time", "tokens", "channels", "sigma", "next_sigma", "slow_sigma", "close")
    return replace(rows[0], **{name: np.concatenate([getattr(one, name) for one in rows]) for name in names})


def wild(seed: int, count: int) -> CandleSeries:
    """A series with jumps, quiet stretches, exact ties and holes in its volume."""
    rng = np.random.default_rng(seed)
    series = make_candles(("W",), num_candles=count, daily_volatility=0.02, seed=seed)["W"]
    factor = np.exp(np.cumsum(rng.choice([0.0, 0.0, 0.0, 1.0, -1.0, 0.2], count)))
    prices = {name: getattr(series, name) * factor for name in ("open", "high", "low", "close")}
    still = rng.random(count) < 0.2
    for name in ("open", "high", "low"):
        prices[name] = np.where(still, prices["close"], prices[name])
    volume = np.where(rng.random(count) < 0.3, 0.0, np.exp(rng.normal(10, 2, count)).round())
    return Candles([replace(series, **prices, volume=volume)])["W"]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(2, 160), data=st.data())
def test_candle_by_candle_is_the_whole(
    fitted: OHLCTokenizer, seed: int, count: int, data: st.DataObject
) -> None:
    series = wild(seed, count)
    start = data.draw(st.integers(1, count - 1))
    whole = tail_of(fitted.encode(series), start - 1)
    state, rows = fitted.begin_stream(series[:start]), []
    for t in range(start, count):
        row, state = fitted.encode_next(state, series[t : t + 1])
        rows.append(row)
    assert_same(joined(rows), whole)
    # Several at once, too.
    several, after = fitted.encode_next(fitted.begin_stream(series[:start]), series[start:])
    assert_same(several, whole)
    assert (after.fast, after.slow, after.volume) == (state.fast, state.slow, state.volume)


def test_a_stream_from_one_candle_is_the_whole_after_years(fitted: OHLCTokenizer) -> None:
    series = wild(3, 6_000)
    rows, _ = fitted.encode_next(fitted.begin_stream(series[:1]), series[1:])
    assert_same(rows, fitted.encode(series))
    late, _ = fitted.encode_next(fitted.begin_stream(series[:5_990]), series[5_990:])
    assert_same(late, tail_of(fitted.encode(series), 5_989))


def test_a_forming_candle_can_be_encoded_again_and_again(fitted: OHLCTokenizer, candles: Candles) -> None:
    series = candles["BBB"]
    state = fitted.begin_stream(series[:500])
    forming = replace(series[500:501], high=series.high[500:501] * 1.5)
    first, _ = fitted.encode_next(state, forming)
    final, _ = fitted.encode_next(state, series[500:501])
    assert first.tokens[0, 2] != final.tokens[0, 2]
    assert_same(final, tail_of(fitted.encode(series[:501]), 499))


@given(
    values=st.lists(st.floats(0.0, 1e3), min_size=1, max_size=80),
    half_life=st.floats(0.5, 500.0),
    start=st.integers(0, 80),
)
def test_the_running_mean_is_pandas(values: list[float], half_life: float, start: int) -> None:
    array = np.array(values)
    mean = RunningMean.after(array[:start], half_life)
    for value in values[start:]:
        mean = mean.step(value)
    expected = exponential_mean(array, half_life)[-1]
    assert mean.mean == (expected if EXACT else pytest.approx(expected, rel=1e-12))
    assert mean.count == len(values)


@pytest.mark.parametrize("half_life", [2.3, 7.3, 17.7, 40.1])
def test_the_decay_is_pandas_own(half_life: float) -> None:
    """2^(-1 / half-life) differs from it in the last bit at one of these, and a long mean shows it."""
    values = np.random.default_rng(0).random(3_000)
    mean = RunningMean.after(values[:1], half_life)
    for value in values[1:].tolist():
        mean = mean.step(value)
    expected = exponential_mean(values, half_life)[-1]
    assert mean.mean == (expected if EXACT else pytest.approx(expected, rel=1e-12))


def test_what_does_not_follow_is_refused(fitted: OHLCTokenizer, candles: Candles) -> None:
    series = candles["AAA"]
    state, new = fitted.begin_stream(series[:300]), series[300:301]
    other = OHLCTokenizer(OHLCTokenizer.Config(gap_bins=8)).fit(candles)
    for tokenizer, candle, words in (
        (fitted, series[299:300], "does not follow the stream's last, of 2016-02-24"),
        (fitted, series[300:300], "no new candle"),
        (fitted, candles["BBB"][300:301], "the stream is of AAA at 1d, the candle of BBB"),
        (other, new, "begun by another tokenizer"),
    ):
        with pytest.raises(DataError, match=words):
            tokenizer.encode_next(state, candle)
    with pytest.raises(DataError, match="no candles to begin a stream"):
        fitted.begin_stream(series[:0])
    with pytest.raises(DataError, match="not fitted"):
        OHLCTokenizer().begin_stream(series)


@pytest.mark.parametrize(
    "bad", [{"close": np.array([np.nan])}, {"high": np.array([0.01])}, {"volume": np.array([-1.0])}]
)
def test_an_impossible_candle_does_not_get_into_the_state(
    fitted: OHLCTokenizer, candles: Candles, bad: dict[str, np.ndarray]
) -> None:
    series = candles["AAA"]
    with pytest.raises(CandleError, match="1 impossible candle"):
        fitted.encode_next(fitted.begin_stream(series[:300]), replace(series[300:301], **bad))
