"""Targets at horizons: their formulas on candles counted by hand, classes, ends and ties."""

from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core import DataError
from marketgpt_core.testing import make_candles
from marketgpt_core.variance import candle_variance
from marketgpt_tokenizer.channels import log_channels
from marketgpt_tokenizer.targets import NO_TARGET, classify, fit_edges, horizon_values


def values_of(count: int, horizons: tuple[int, ...], seed: int = 0) -> np.ndarray:
    series = make_candles(("A",), num_candles=count, seed=seed)["A"]
    variance = candle_variance(*log_channels(series))
    return horizon_values(series, variance, np.full(count - 1, 0.01), horizons)


def test_each_is_what_it_says() -> None:
    series = make_candles(("A",), num_candles=60)["A"]
    variance = candle_variance(*log_channels(series))
    sigma = np.linspace(0.01, 0.02, 59)
    values = horizon_values(series, variance, sigma, (1, 7))
    t, h = 20, 7  # row 20 is candle 21; its future are candles 22 .. 28
    future = slice(22, 29)
    root = sigma[t] * np.sqrt(h)
    assert values[t, 1, 0] == pytest.approx(np.log(series.close[28] / series.close[21]) / root)
    assert values[t, 1, 1] == pytest.approx(variance[21:28].mean() / sigma[t] ** 2)
    top, bottom = series.high[future].max(), series.low[future].min()
    assert values[t, 1, 2] == pytest.approx(np.log(top / bottom) / root)
    assert values[t, 0, 2] == pytest.approx(np.log(series.high[22] / series.low[22]) / sigma[t])


def test_ends_are_nan_and_then_no_target() -> None:
    values = values_of(12, (1, 5, 42))
    assert np.isfinite(values[:, 0]).all(axis=-1).tolist() == [True] * 10 + [False]
    assert np.isfinite(values[:, 1]).all(axis=-1).tolist() == [True] * 6 + [False] * 5
    assert np.isnan(values[:, 2]).all()
    edges = tuple(np.zeros((3, size - 1)) for size in (3, 8, 8))
    classes = classify(values, edges)
    assert (classes[:, 2] == NO_TARGET).all()
    assert np.array_equal(classes >= 0, np.isfinite(values))


def test_a_past_jump_leaves_no_rounding_behind() -> None:
    """A running sum's differences would: 1e6 + 1e-12 - 1e6 is not 1e-12."""
    series = make_candles(("A",), num_candles=100)["A"]
    variance = np.full(99, 1e-12)
    variance[10] = 1e6
    values = horizon_values(series, variance, np.full(99, 1e-6), (5,))
    assert values[20:94, 0, 1] == pytest.approx(np.ones(74), rel=1e-12)


def test_classes_have_equal_shares_and_are_ordered() -> None:
    values = values_of(4_000, (1, 5))
    sizes = (3, 8, 5)
    edges = fit_edges([values], (1, 5), sizes)
    assert [one.shape for one in edges] == [(2, 2), (2, 7), (2, 4)]
    classes = classify(values, edges)
    for task, size in enumerate(sizes):
        found = classes[:-5, :, task]
        for h in range(2):
            share = np.bincount(found[:, h], minlength=size) / len(found)
            assert share == pytest.approx(np.full(size, 1 / size), abs=0.01)
            order = np.argsort(values[:-5, h, task])
            assert (np.diff(found[order, h]) >= 0).all()


def test_a_value_on_an_edge_belongs_above_it() -> None:
    edges = (np.array([[0.0, 1.0]]), np.zeros((1, 1)), np.zeros((1, 1)))
    values = np.array([-0.1, 0.0, 0.5, 1.0, 2.0])[:, None, None].repeat(3, axis=2)
    assert classify(values, edges)[:, 0, 0].tolist() == [0, 1, 1, 2, 2]


def test_symbols_are_pooled() -> None:
    parts = [values_of(900, (1,), seed) for seed in (1, 2)]
    edges = fit_edges(parts, (1,), (3, 4, 4))
    pooled = np.concatenate([one[:-1, 0, 0] for one in parts])
    assert edges[0][0] == pytest.approx(np.quantile(pooled, [1 / 3, 2 / 3]))


def test_a_horizon_nobody_reaches_is_named() -> None:
    with pytest.raises(DataError, match="horizon 42: no training symbol has the 44 candles"):
        fit_edges([values_of(43, (1, 42))], (1, 42), (3, 8, 8))
    assert fit_edges([values_of(44, (1, 42))], (1, 42), (3, 8, 8))[0].shape == (2, 2)
