"""No token tuple is an impossible candle: all of them, not a sample.

Every (gap, body, up, low) of the vocabulary is decoded by the tokenizer itself, each after the same close,
and judged by the rule that candles from outside are judged by.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core.candle_checks import impossible_rows
from marketgpt_core.testing import make_candles
from marketgpt_tokenizer import OHLCTokenizer

Decoded = dict[str, np.ndarray]


def fit(config: OHLCTokenizer.Config | None = None) -> OHLCTokenizer:
    return OHLCTokenizer(config).fit(make_candles(("AAA", "BBB", "CCC"), num_candles=2_000))


@pytest.fixture(scope="module")
def small() -> OHLCTokenizer:
    return fit(OHLCTokenizer.Config(gap_bins=12, body_bins=12, up_bins=6, low_bins=6))


def all_tuples(tokenizer: OHLCTokenizer, gaps: range) -> np.ndarray:
    """Return all tuples of the chosen gap tokens, shape (N, 1, 4): N paths of one candle."""
    sizes = (gaps, *(range(size) for size in tokenizer.vocab_sizes[1:]))
    return np.stack(np.meshgrid(*sizes, indexing="ij"), axis=-1).reshape(-1, 1, 4)


def decoded(tokenizer: OHLCTokenizer, gaps: range, sigma: float, close: float) -> Decoded:
    tokens = all_tuples(tokenizer, gaps)
    candles = tokenizer.decode(tokens, np.full((len(tokens), 1), sigma), close)
    return {name: values[:, 0] for name, values in candles.items()}


def count_impossible(candles: Decoded) -> int:
    prices = (candles[name] for name in ("open", "high", "low", "close"))
    rules = impossible_rows(*prices, np.zeros(len(candles["open"])))
    return int(np.logical_or.reduce([mask for _, mask in rules]).sum())


# The smallest and largest sigma an option allows, usual ones, and closes from dust to hyperinflation.
SIGMAS = (1e-6, 1e-3, 0.02, 0.7, 10.0)
CLOSES = (1e-8, 0.0137, 99.99, 3e8)


@pytest.mark.parametrize(("sigma", "close"), list(itertools.product(SIGMAS, CLOSES)))
def test_every_tuple_of_a_small_vocabulary_is_legal(small: OHLCTokenizer, sigma: float, close: float) -> None:
    candles = decoded(small, range(small.vocab_sizes[0]), sigma, close)
    assert len(candles["open"]) == np.prod(small.vocab_sizes) > 15_000
    assert count_impossible(candles) == 0


def test_the_count_finds_what_is_impossible(small: OHLCTokenizer) -> None:
    candles = decoded(small, range(2), 0.02, 99.99)
    candles["high"][3] = np.nextafter(max(candles["open"][3], candles["close"][3]), 0.0)
    candles["low"][5] *= -1.0
    assert count_impossible(candles) == 2


def test_prices_rise_with_each_token(small: OHLCTokenizer) -> None:
    candles = decoded(small, range(small.vocab_sizes[0]), 0.02, 99.99)
    cube = {name: values.reshape(small.vocab_sizes) for name, values in candles.items()}
    gap, body, up, low = range(4)
    assert (np.diff(cube["open"], axis=gap) > 0).all()
    assert (np.diff(cube["close"], axis=body) > 0).all()
    assert (np.diff(cube["high"], axis=up) > 0).all()
    assert (np.diff(cube["low"], axis=low) < 0).all()
    for name, axes in (("open", (body, up, low)), ("close", (up, low)), ("high", (low,)), ("low", (up,))):
        assert all((np.diff(cube[name], axis=axis) == 0).all() for axis in axes)


@pytest.mark.parametrize(("sigma", "close"), [(1e-6, 3e8), (0.02, 99.99), (10.0, 1e-8)])
def test_every_tuple_of_the_default_vocabulary_is_legal(sigma: float, close: float) -> None:
    """67 x 67 x 33 x 33 = 4.9 million tuples or more, one gap at a time."""
    tokenizer = fit()
    seen = bad = 0
    for gap in range(tokenizer.vocab_sizes[0]):
        candles = decoded(tokenizer, range(gap, gap + 1), sigma, close)
        seen += len(candles["open"])
        bad += count_impossible(candles)
    assert seen == np.prod(tokenizer.vocab_sizes) > 4_500_000
    assert bad == 0


@settings(max_examples=100, deadline=None)
@given(data=st.data(), sigma=st.floats(1e-6, 10.0), close=st.floats(1e-6, 1e7))
def test_successive_candles_are_legal_at_any_scale(
    small: OHLCTokenizer, data: st.DataObject, sigma: float, close: float
) -> None:
    tuples = st.tuples(*(st.integers(0, size - 1) for size in small.vocab_sizes))
    tokens = np.array(data.draw(st.lists(tuples, min_size=1, max_size=30)))
    candles = small.decode(tokens, np.full(len(tokens), sigma), close)
    assert count_impossible(candles) == 0
