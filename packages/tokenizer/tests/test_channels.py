"""Candles to log channels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketgpt_core.candle_checks import impossible_rows
from marketgpt_core.testing import make_candles
from marketgpt_tokenizer.channels import candles_of, log_channels


def test_the_channels_are_what_they_say() -> None:
    series = make_candles(["AAA"], num_candles=50)["AAA"]
    gap, body, up, low = log_channels(series)
    assert gap.shape == (49,)
    t = 7
    o, h, lo, c = (getattr(series, name)[t + 1] for name in ("open", "high", "low", "close"))
    assert gap[t] == pytest.approx(np.log(o / series.close[t]), rel=1e-10)
    assert body[t] == pytest.approx(np.log(c / o), rel=1e-10)
    assert up[t] == pytest.approx(np.log(h / max(o, c)), abs=1e-14)
    assert low[t] == pytest.approx(np.log(min(o, c) / lo), abs=1e-14)


def test_channels_decode_to_the_candles_they_came_from() -> None:
    series = make_candles(["AAA"], num_candles=2_000)["AAA"]
    decoded = candles_of(log_channels(series), float(series.close[0]))
    for name, values in decoded.items():
        assert values == pytest.approx(getattr(series, name)[1:], rel=1e-11)


_channel = st.floats(-60.0, 60.0) | st.sampled_from([0.0, 1e-300, -1e-16, 1e4, -1e4])


@given(
    steps=st.lists(st.tuples(_channel, _channel, _channel, _channel), min_size=1, max_size=40),
    close=st.floats(1e-8, 1e9),
)
def test_any_four_numbers_make_a_legal_candle(steps: list[tuple[float, ...]], close: float) -> None:
    gap, body, up, low = np.array(steps).T
    decoded = candles_of(np.stack([gap, body, np.abs(up), np.abs(low)]), close)
    rules = impossible_rows(
        decoded["open"], decoded["high"], decoded["low"], decoded["close"], np.zeros(len(steps))
    )
    assert {reason: int(mask.sum()) for reason, mask in rules if mask.any()} == {}


@given(close=st.floats(1e-8, 1e9), step=st.floats(-0.5, 0.5))
def test_zero_channels_give_equal_prices(close: float, step: float) -> None:
    logs = np.array([[step, 0.0], [0.0, step], [0.0, 0.0], [0.0, 0.0]])
    decoded = candles_of(logs, close)
    assert decoded["open"][0] == decoded["high"][0] == decoded["low"][0] == decoded["close"][0]
    assert decoded["open"][1] == decoded["close"][0]
    assert decoded["high"][1] == max(decoded["open"][1], decoded["close"][1])
    assert decoded["low"][1] == min(decoded["open"][1], decoded["close"][1])
