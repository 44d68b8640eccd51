"""The volume channel: its formula, holes in a feed, no look-ahead, and back to volumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marketgpt_core import Candles, DataError
from marketgpt_core.testing import make_candles
from marketgpt_tokenizer import OHLCTokenizer
from marketgpt_tokenizer.volume import NO_SURPRISE, SCALE_FLOOR, CausalVolume, log_surprises

Config = OHLCTokenizer.Config


def causal(**changes: float) -> CausalVolume:
    options = {
        "prior_variance": 0.25,
        "level_half_life_bars": 3.0,
        "scale_half_life_bars": 100.0,
        "warmup_bars": 60,
    }
    return CausalVolume(**(options | changes))


def weighted(values: np.ndarray, half_life: float) -> float:
    weights = 0.5 ** (np.arange(len(values))[::-1] / half_life)
    return float(np.sum(weights * values) / weights.sum())


def volumes(count: int = 400, holes: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(12.0, 0.5, count))
    values[rng.random(count) < holes] = 0.0
    return values


def test_the_surprise_is_the_log_volume_over_its_level_in_its_spread() -> None:
    volume = volumes()
    logs = np.log(volume)
    t = 250
    surprises = np.array([logs[k] - weighted(logs[:k], 3.0) for k in range(1, t + 1)])
    scale = np.sqrt(weighted(surprises[:-1] ** 2, 100.0))
    assert causal().values(volume)[t] == pytest.approx(surprises[-1] / scale, rel=1e-9)
    assert log_surprises(volume, 3.0)[t - 1] == pytest.approx(surprises[-1], rel=1e-9)


def test_young_series_lean_on_the_prior() -> None:
    logs = np.log(volumes(2))
    value = causal().values(np.exp(logs))[1]
    assert value == pytest.approx((logs[1] - logs[0]) / 0.5)


def test_on_white_noise_the_values_have_the_spread_of_one() -> None:
    values = causal().values(volumes(5_000))
    assert values[100:].std() == pytest.approx(1.0, abs=0.05)


def test_holes_are_zero_and_leave_the_rest_as_if_they_were_not_there() -> None:
    volume = volumes(300, holes=0.3)
    values = causal().values(volume)
    assert (values[volume == 0] == 0.0).all()
    assert np.array_equal(values[volume > 0], causal().values(volume[volume > 0]))
    state, without = causal().begin(volume), causal().begin(volume[volume > 0])
    assert np.array_equal(state, without)


@pytest.mark.parametrize("volume", [np.zeros(5), np.array([0.0, 0.0, 7.0, 0.0]), np.empty(0)])
def test_without_two_volumes_nothing_is_said(volume: np.ndarray) -> None:
    assert causal().values(volume).tolist() == [0.0] * len(volume)


def test_a_constant_volume_is_no_surprise_and_still_said() -> None:
    values = causal().values(np.full(200, 1e6))
    assert values[0] == 0.0
    assert (np.abs(values[1:]) == NO_SURPRISE).all()
    assert causal(prior_variance=0.0).scale(np.zeros(1), np.array([500]))[0] == SCALE_FLOOR


_volume = st.sampled_from([0.0, 1e-8, 1.0, 1e15]) | st.floats(1.0, 1e12)


@given(volume=hnp.arrays(np.float64, st.integers(1, 120), elements=_volume), cut=st.integers(1, 119))
def test_no_volume_sees_a_later_one(volume: np.ndarray, cut: int) -> None:
    one = causal()
    assert np.array_equal(one.values(volume)[:cut], one.values(volume[:cut]))


@settings(max_examples=50)
@given(volume=hnp.arrays(np.float64, st.integers(2, 80), elements=_volume), start=st.integers(1, 79))
def test_stepping_agrees_with_the_whole_and_gives_the_volumes_back(volume: np.ndarray, start: int) -> None:
    one = causal()
    values, state = one.values(volume), one.begin(volume[:start])
    back = one.decode(state, values[None, start:])[0]
    for value in values[start:]:
        state = one.advance(state, np.array([value]))
    expected = volume.copy()
    # A first volume has no level: it cannot be said, and a path that begins before it never gets one.
    if not (volume[:start] > 0).any():
        expected[:] = 0.0
        assert state.tolist() == [[0.0, 0.0, 0.0]]
    else:
        # A volume that is no surprise was moved off zero by a ten-millionth of the scale.
        assert state == pytest.approx(one.begin(volume), rel=1e-6, abs=1e-6)
    assert back == pytest.approx(expected[start:], rel=1e-5)


@pytest.fixture(scope="module")
def candles() -> Candles:
    made = make_candles(("AAA", "BBB", "CCC", "FX"), num_candles=1_200)
    series = []
    for k, one in enumerate(made.values()):
        volume = volumes(len(one), holes=0.1, seed=k)
        series.append(replace(one, volume=volume * (0.0 if one.symbol == "FX" else 1.0)))
    return Candles(series)


@pytest.fixture(scope="module")
def fitted(candles: Candles) -> OHLCTokenizer:
    return OHLCTokenizer(Config(volume_bins=32)).fit(candles)


def test_the_atom_means_not_supplied_and_nothing_else(fitted: OHLCTokenizer, candles: Candles) -> None:
    assert fitted.channel_names[-1] == "volume"
    atom = fitted.bins[-1].atom
    for series in candles.values():
        tokens = fitted.encode(series).tokens[:, -1]
        assert np.array_equal(tokens == atom, series.volume[1:] == 0)
    constant = replace(candles["AAA"], volume=np.full(1_200, 5.0))
    assert (fitted.encode(constant).tokens[:, -1] != atom).all()
    share = np.mean(np.concatenate([one.volume[1:] == 0 for one in candles.values()]))
    assert fitted.bins[-1].mass[atom] == pytest.approx(share)


def test_the_other_channels_do_not_feel_it(fitted: OHLCTokenizer, candles: Candles) -> None:
    without = OHLCTokenizer().fit(candles)
    ours, theirs = fitted.encode(candles["AAA"]), without.encode(candles["AAA"])
    assert np.array_equal(ours.tokens[:, :4], theirs.tokens)
    assert np.array_equal(ours.channels[:, :4], theirs.channels)
    assert np.array_equal(ours.next_sigma, theirs.next_sigma)
    assert without.volume is None
    assert without.begin(candles["AAA"]).volume is None


def test_the_default_says_nothing_of_the_volume(candles: Candles) -> None:
    content = OHLCTokenizer().fit(candles).content()
    assert not [name for name in (*content, *content["config"], *content["channels"]) if "volume" in name]
    # The half-lives are nothing to a tokenizer without the channel.
    odd = OHLCTokenizer(Config(volume_level_half_life_bars=7.0)).fit(candles)
    assert odd.fingerprint() == OHLCTokenizer().fit(candles).fingerprint()


def test_the_fingerprint_sees_the_channel(fitted: OHLCTokenizer, candles: Candles) -> None:
    prints = {
        fitted.fingerprint(),
        OHLCTokenizer().fit(candles).fingerprint(),
        OHLCTokenizer(Config(volume_bins=31)).fit(candles).fingerprint(),
        OHLCTokenizer(Config(volume_bins=32, volume_level_half_life_bars=5.0)).fit(candles).fingerprint(),
        OHLCTokenizer(Config(volume_bins=32, volume_scale_half_life_bars=50.0)).fit(candles).fingerprint(),
    }
    assert len(prints) == 5


def test_decode_gives_volumes_beside_a_state(fitted: OHLCTokenizer, candles: Candles) -> None:
    series = candles["BBB"]
    rows = fitted.encode(series)
    tail = slice(1_000, 1_040)
    start = fitted.begin(series[:1_001])
    decoded = fitted.decode(rows.tokens[tail], rows.sigma[tail], float(series.close[1_000]), start)
    true = series.volume[1_001:1_041]
    assert np.array_equal(decoded["volume"] == 0, true == 0)
    # The middle of a bin stands for the volume: close to it, but the level drifts with what was decoded.
    error = np.log(decoded["volume"][true > 0] / true[true > 0])
    assert np.abs(error).mean() < 0.2
    bare = fitted.decode(rows.tokens[tail], rows.sigma[tail], float(series.close[1_000]))
    assert set(bare) == {"open", "high", "low", "close"}


def test_a_state_without_volume_is_refused(fitted: OHLCTokenizer, candles: Candles) -> None:
    foreign = OHLCTokenizer().fit(candles).begin(candles["AAA"])
    with pytest.raises(DataError, match="knows nothing of the volume"):
        fitted.advance(foreign, np.zeros((1, 5)))
    tokens = np.zeros((1, 5), dtype=int)
    with pytest.raises(DataError, match="knows nothing of the volume"):
        fitted.decode(tokens, np.ones(1), 1.0, foreign)
    two = fitted.begin(candles["AAA"]).repeat(2)
    with pytest.raises(DataError, match="a state of 2 paths does not go with tokens of 1"):
        fitted.decode(tokens, np.ones(1), 1.0, two)


def test_candles_without_any_volume_make_a_channel_of_one_token() -> None:
    made = make_candles(("A",), num_candles=300)
    silent = Candles([replace(made["A"], volume=np.zeros(300))])
    fitted = OHLCTokenizer(Config(volume_bins=16)).fit(silent)
    assert fitted.vocab_sizes[-1] == 1
    assert fitted.encode(made["A"]).tokens[:, -1].max() == 0
