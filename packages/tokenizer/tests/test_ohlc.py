"""The OHLC tokenizer as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core import Candles, DataError, registry
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import Tokenizer as Protocol
from marketgpt_tokenizer import OHLCTokenizer
from marketgpt_tokenizer.channels import log_channels
from marketgpt_tokenizer.testing import extended, random_tokens


@pytest.fixture(scope="module")
def candles() -> Candles:
    return make_candles(("AAA", "BBB", "CCC"), num_candles=1_500)


@pytest.fixture(scope="module")
def fitted(candles: Candles) -> OHLCTokenizer:
    return OHLCTokenizer().fit(candles)


def test_it_satisfies_the_core_protocol(fitted: OHLCTokenizer) -> None:
    assert isinstance(fitted, Protocol)
    assert fitted.channel_names == ("gap", "body", "up", "low")
    assert isinstance(registry("tokenizer").create("ohlc"), OHLCTokenizer)


def test_fit_returns_a_new_tokenizer(candles: Candles) -> None:
    unfitted = OHLCTokenizer()
    fitted = unfitted.fit(candles)
    assert fitted is not unfitted
    with pytest.raises(DataError, match="not fitted"):
        unfitted.encode(candles["AAA"])
    for ask in (lambda: unfitted.vocab_sizes, unfitted.fingerprint, lambda: unfitted.begin(candles["AAA"])):
        with pytest.raises(DataError, match="not fitted"):
            ask()


def test_channels_are_log_moves_over_sigma(fitted: OHLCTokenizer, candles: Candles) -> None:
    series = candles["BBB"]
    rows = fitted.encode(series)
    t = 200
    gap = np.log(series.open[t + 1] / series.close[t]) / rows.sigma[t]
    assert rows.channels[t, 0] == pytest.approx(gap, rel=1e-5)
    assert rows.channels * rows.sigma[:, None] == pytest.approx(log_channels(series).T, rel=1e-5)


def test_on_the_training_part_tokens_are_near_uniform(fitted: OHLCTokenizer, candles: Candles) -> None:
    tokens = np.concatenate([fitted.encode(series).tokens for series in candles.values()])
    for channel, bins in enumerate(fitted.bins):
        share = np.bincount(tokens[:, channel], minlength=len(bins)) / len(tokens)
        assert share == pytest.approx(bins.mass)
        outer = slice(4, -4) if bins.atom else slice(0, -4)
        inner = np.delete(share, bins.atom)[outer]
        assert inner.max() / inner.min() < 1.15


def test_a_decoded_value_lies_in_the_bin_of_what_was_encoded(fitted: OHLCTokenizer, candles: Candles) -> None:
    rows = fitted.encode(candles["CCC"])
    values = fitted.values(rows.tokens)
    for channel, bins in enumerate(fitted.bins):
        low, high = (ends[rows.tokens[:, channel]] for ends in bins.bounds(20.0))
        true = rows.channels[:, channel].astype(np.float64)
        assert (np.abs(values[:, channel] - true) <= high - low + 1e-6).all()


def test_decoded_prices_stay_close(fitted: OHLCTokenizer, candles: Candles) -> None:
    """Each candle decoded after its true predecessor is off by a small part of sigma."""
    series = candles["AAA"]
    rows = fitted.encode(series)
    closes = [
        fitted.decode(rows.tokens[t : t + 1], rows.sigma[t : t + 1], float(series.close[t]))["close"][0]
        for t in range(len(rows))
    ]
    error = np.log(np.array(closes) / rows.close) / rows.sigma
    assert np.sqrt(np.mean(error**2)) < 0.05


def test_stepping_agrees_with_encoding_to_the_last_digits(fitted: OHLCTokenizer, candles: Candles) -> None:
    series = candles["AAA"]
    rows, logs = fitted.encode(series), log_channels(series)
    state = fitted.begin(series[:1])
    for t in range(len(rows)):
        sigma = fitted.sigma(state)
        assert sigma[0] == pytest.approx(rows.sigma[t], rel=1e-12)
        state = fitted.advance(state, logs[:, t][None] / sigma[:, None])
        assert fitted.slow_sigma(state)[0] == pytest.approx(rows.slow_sigma[t], rel=1e-12)
    assert state.count.tolist() == [len(rows)]
    assert fitted.begin(series).fast == pytest.approx(state.fast, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    close=st.sampled_from([1e-8, 0.0137, 1.0, 99.99, 67_000.0, 3e8]),
    quiet=st.booleans(),
)
def test_tokens_survive_prices(fitted: OHLCTokenizer, seed: int, close: float, quiet: bool) -> None:
    """Tokens -> values -> prices -> encode gives the tokens, whatever the price and the scale."""
    start = make_candles(["X"], num_candles=80, daily_volatility=1e-9 if quiet else 0.02)["X"]
    factor = close / start.close[-1]
    prices = {name: getattr(start, name) * factor for name in ("open", "high", "low", "close")}
    start = Candles([replace(start, **prices)])["X"]
    tokens, rng = random_tokens(fitted, 12, seed), np.random.default_rng(seed)
    state, series = fitted.begin(start), start
    for row in tokens:
        u = rng.random(row.shape)
        values = fitted.values(row, u)
        step = fitted.decode(row[None], fitted.sigma(state), float(series.close[-1]))
        state = fitted.advance(state, fitted.values(row[None]))
        series = extended(series, step)
        assert np.isfinite(values).all()
    encoded = fitted.encode(Candles([series])["X"])
    assert np.array_equal(encoded.tokens[-12:], tokens)


def test_paths_decode_together_as_alone(fitted: OHLCTokenizer) -> None:
    tokens = random_tokens(fitted, 30).reshape(3, 10, 4)
    sigma = np.random.default_rng(1).uniform(0.001, 0.1, (3, 10))
    close = np.array([1.0, 50.0, 3e4])
    together = fitted.decode(tokens, sigma, close)
    for path in range(3):
        alone = fitted.decode(tokens[path], sigma[path], float(close[path]))
        assert all(np.array_equal(together[name][path], alone[name]) for name in alone)
    assert np.array_equal(fitted.decode(tokens, sigma, 1.0)["open"][0], together["open"][0])


def test_values_draw_from_the_law_inside_the_bin(fitted: OHLCTokenizer) -> None:
    tokens = random_tokens(fitted, 100)
    knots = np.stack([bins.knots[tokens[:, k]] for k, bins in enumerate(fitted.bins)], axis=1)
    assert np.array_equal(fitted.values(tokens), knots[..., 8])
    assert np.array_equal(fitted.values(tokens, np.zeros(tokens.shape)), knots[..., 0])
    at = fitted.values(tokens, np.full(tokens.shape, 2.25 / 16))
    assert at == pytest.approx(0.75 * knots[..., 2] + 0.25 * knots[..., 3])
    assert fitted.values(tokens.reshape(5, 20, 4)).shape == (5, 20, 4)


def test_resampled_candles_have_the_variance_of_the_real_ones(
    fitted: OHLCTokenizer, candles: Candles
) -> None:
    rows = fitted.encode(candles["AAA"])
    u = np.random.default_rng(0).random((50, *rows.tokens.shape))
    drawn = fitted.values(np.broadcast_to(rows.tokens, u.shape), u)
    assert drawn.std(axis=(0, 1)) == pytest.approx(rows.channels.std(axis=0), rel=0.02)


def test_a_jump_is_clipped_and_decodes_to_the_largest_seen(fitted: OHLCTokenizer, candles: Candles) -> None:
    series = candles["AAA"][:100]
    factor = np.where(np.arange(100) < 99, 1.0, 50.0)
    prices = {name: getattr(series, name) * factor for name in ("open", "high", "low", "close")}
    rows = fitted.encode(replace(series, **prices))
    assert rows.channels[-1, 0] == 20.0
    assert rows.tokens[-1, 0] == fitted.vocab_sizes[0] - 1
    assert fitted.values(rows.tokens[-1])[0] <= fitted.bins[0].knots[-1, -1]


def test_a_constant_series_is_one_token_and_stays_constant() -> None:
    flat = make_candles(["F"], num_candles=100)["F"]
    ones = {name: np.full(100, 5.0) for name in ("open", "high", "low", "close")}
    candles = Candles([replace(flat, **ones)])
    fitted = OHLCTokenizer().fit(candles)
    assert fitted.vocab_sizes == (1, 1, 1, 1)
    rows = fitted.encode(candles["F"])
    assert rows.sigma == pytest.approx(np.full(99, 1e-5))
    decoded = fitted.decode(rows.tokens, rows.sigma, 5.0)
    assert all((values == 5.0).all() for values in decoded.values())
    # It also survives candles it never saw.
    assert fitted.encode(make_candles(["G"], num_candles=50)["G"]).tokens.max() == 0


def test_tiny_training_sets_give_fewer_bins() -> None:
    tiny = OHLCTokenizer().fit(make_candles(["T"], num_candles=40))
    assert max(tiny.vocab_sizes) <= 7
    assert min(tiny.vocab_sizes) >= 2
    two = OHLCTokenizer().fit(make_candles(["T"], num_candles=2))
    assert max(two.vocab_sizes) <= 2


def test_without_two_candles_there_is_nothing_to_fit() -> None:
    with pytest.raises(DataError, match="at least one symbol of two candles"):
        OHLCTokenizer().fit(make_candles(["T"], num_candles=1))
    with pytest.raises(DataError, match="at least one symbol of two candles"):
        OHLCTokenizer().fit(Candles([]))


def test_short_series_are_refused_by_name(fitted: OHLCTokenizer, candles: Candles) -> None:
    with pytest.raises(DataError, match="BBB: 1 candles; to encode it takes at least 2"):
        fitted.encode(candles["BBB"][:1])
    with pytest.raises(DataError, match="BBB: no candles"):
        fitted.begin(candles["BBB"][:0])


@pytest.mark.parametrize(
    ("tokens", "sigma", "close", "words"),
    [
        (np.zeros((2, 3), dtype=int), np.ones(2), 1.0, "shape"),
        (np.zeros((2, 4), dtype=int), np.ones(3), 1.0, "sigma"),
        (np.zeros(4, dtype=int), np.ones(4), 1.0, "tokens"),
        (np.zeros((2, 3, 4), dtype=int), np.ones((2, 3)), np.ones(3), "one close or one for each path"),
        (np.full((1, 4), 10_000), np.ones(1), 1.0, "outside the vocabulary"),
        (np.full((1, 4), -1), np.ones(1), 1.0, "outside the vocabulary"),
        (np.zeros((1, 4), dtype=int), np.zeros(1), 1.0, "sigma > 0"),
        (np.zeros((1, 4), dtype=int), np.array([np.nan]), 1.0, "sigma > 0"),
        (np.zeros((1, 4), dtype=int), np.ones(1), 0.0, "close > 0"),
        (np.zeros((1, 4), dtype=int), np.ones(1), np.inf, "close > 0"),
    ],
)
def test_what_cannot_be_decoded_is_refused(
    fitted: OHLCTokenizer, tokens: np.ndarray, sigma: np.ndarray, close: float, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        fitted.decode(tokens, sigma, close)


def test_the_fingerprint_sees_every_part(candles: Candles) -> None:
    base = OHLCTokenizer().fit(candles)
    prints = {
        base.fingerprint(),
        OHLCTokenizer(OHLCTokenizer.Config(clip=19.0)).fit(candles).fingerprint(),
        OHLCTokenizer(OHLCTokenizer.Config(fast_half_life_bars=21.0)).fit(candles).fingerprint(),
        OHLCTokenizer(OHLCTokenizer.Config(low_bins=31)).fit(candles).fingerprint(),
        OHLCTokenizer().fit(candles.select(["AAA", "BBB"])).fingerprint(),
    }
    assert len(prints) == 5
    assert OHLCTokenizer().fit(candles.select(["CCC", "AAA", "BBB"])).fingerprint() == base.fingerprint()


def test_the_prior_is_the_median_symbol() -> None:
    calm = make_candles(("A", "B"), num_candles=500, daily_volatility=0.01)
    wild = make_candles(("W",), num_candles=500, daily_volatility=0.30)
    both = Candles([*calm.values(), *wild.values()])
    assert OHLCTokenizer().fit(both).prior_variance ** 0.5 == pytest.approx(0.01, rel=0.2)
