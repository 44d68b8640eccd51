"""New bins in terms of old ones: exact shares, predictions that stay, and laws that follow the market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core import Candles, DataError
from marketgpt_core.testing import make_candles
from marketgpt_tokenizer import MultiTaskTokenizer, OHLCTokenizer, remap
from marketgpt_tokenizer.bins import BinLaws, ChannelBins
from marketgpt_tokenizer.remap import output_shift, refit_laws, remapping

Config = OHLCTokenizer.Config


def fit(values: np.ndarray, num_bins: int, tails: tuple[float, ...] = ()) -> ChannelBins:
    return ChannelBins.fit(values, num_bins=num_bins, tail_masses=tails)


def normal(scale: float = 1.0, seed: int = 0, count: int = 40_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(count) < 0.1, 0.0, rng.normal(0.0, scale, count))


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def test_the_same_bins_are_the_same_tokens() -> None:
    bins = fit(normal(), 16, (0.01, 0.001))
    assert remapping(bins, bins) == pytest.approx(np.eye(len(bins)))
    assert output_shift(bins, bins) == pytest.approx(np.zeros(len(bins)), abs=1e-9)


def test_shares_are_those_of_values_drawn_from_the_law() -> None:
    old, new = fit(normal(), 12, (0.01,)), fit(normal(1.7, seed=1), 9)
    mixing = remapping(old, new)
    draws = 20_000
    u = (np.arange(draws) + 0.5) / draws
    for token in range(len(new)):
        values = BinLaws([new]).values(np.full((draws, 1), token), u[:, None])[:, 0]
        found = np.bincount(old.encode(values), minlength=len(old)) / draws
        assert mixing[token] == pytest.approx(found, abs=2 / draws)


_some = st.builds(
    lambda seed, scale, bins, mirrored: fit(
        np.abs(normal(scale, seed, 2_000)) * (1 if mirrored else -1), bins, (0.01,)
    ),
    st.integers(0, 50),
    st.floats(0.01, 5.0),
    st.integers(1, 40),
    st.booleans(),
)


@settings(max_examples=50, deadline=None)
@given(old=_some, new=_some)
def test_rows_are_shares_and_the_atom_stays_the_atom(old: ChannelBins, new: ChannelBins) -> None:
    mixing = remapping(old, new)
    assert mixing.shape == (len(new), len(old))
    assert (mixing >= 0).all()
    assert mixing.sum(axis=1) == pytest.approx(np.ones(len(new)), rel=1e-12)
    assert mixing[new.atom, old.atom] == 1.0
    # Order is kept: a later new token lies in no earlier old ones.
    mean = mixing @ np.arange(len(old))
    assert (np.diff(mean) >= -1e-9).all()


def test_what_lies_beyond_the_old_bins_is_the_outermost_one() -> None:
    old, new = fit(normal(0.1), 8), fit(normal(10.0, seed=3), 8)
    mixing = remapping(old, new)
    assert mixing[0].tolist() == [1.0, *[0.0] * (len(old) - 1)]
    assert mixing[-1].tolist() == [*[0.0] * (len(old) - 1), 1.0]


def test_large_vocabularies_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = fit(normal(), 30), fit(normal(2.0, seed=2), 20)
    whole = remapping(old, new)
    monkeypatch.setattr(remap, "_MOST_VALUES_AT_ONCE", 1)
    assert np.array_equal(remapping(old, new), whole)


@pytest.mark.parametrize("shares", ["old", "new"])
def test_a_model_that_knew_the_old_shares_knows_the_new_ones(shares: str) -> None:
    old, new = fit(normal(), 16, (0.01,)), fit(normal(1.5, seed=4), 24)
    logits = remapping(old, new) @ np.log(old.mass) + output_shift(old, new, shares=shares)  # type: ignore[arg-type]
    target = old.mass @ remapping(new, old) if shares == "old" else new.mass
    assert np.abs(target - new.mass).max() > (0.01 if shares == "old" else -1.0)
    assert softmax(logits) == pytest.approx(target, abs=1e-6)


def test_where_bins_are_split_mixed_logits_are_exact() -> None:
    """Each new bin inside one old bin: any prediction of the model goes through the shift unchanged."""
    old = fit(normal(), 8)
    cuts = [0.5 * (old.knots[k, 8] + old.knots[k, 9]) for k in range(len(old)) if k != old.atom]
    edges = np.sort(np.concatenate([old.edges, cuts]))
    values = normal()
    pieces = np.split(np.sort(values), np.searchsorted(np.sort(values), edges))
    ends = np.concatenate([[-np.inf], edges, [np.inf]])
    grid = np.linspace(0, 1, 17)
    knots = np.array(
        [
            np.zeros(17) if low < 0.0 < high else np.clip(np.quantile(piece, grid), low + 1e-7, high - 1e-7)
            for piece, low, high in zip(pieces, ends[:-1], ends[1:], strict=True)
        ]
    )
    new = ChannelBins(edges, knots, np.array([len(piece) for piece in pieces]) / len(values))
    logits = np.random.default_rng(0).normal(0.0, 2.0, (50, len(old)))
    mixed = softmax(logits @ remapping(old, new).T + output_shift(old, new, shares="old"))
    assert mixed == pytest.approx(softmax(logits) @ remapping(new, old), abs=2e-6)


def test_other_words_for_shares_are_refused() -> None:
    bins = fit(normal(), 8)
    with pytest.raises(DataError, match="shares are 'old' or 'new', got 'both'"):
        output_shift(bins, bins, shares="both")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def calm() -> Candles:
    return make_candles(("AAA", "BBB"), num_candles=1_500, seed=1)


@pytest.fixture(scope="module")
def wild(calm: Candles) -> Candles:
    """Candles whose nights are still and whose days are not: other shares of gap and body."""
    from dataclasses import replace

    series = []
    for one in make_candles(("WWW",), num_candles=1_500, seed=2).values():
        gap = np.zeros(len(one))
        gap[1:] = np.log(one.open[1:] / one.close[:-1])
        factor = np.exp(-np.cumsum(gap * 0.8))
        prices = {name: getattr(one, name) * factor for name in ("open", "high", "low", "close")}
        series.append(replace(one, **prices))
    return Candles(series)


def test_refit_cuts_new_bins_and_remap_tells_them(calm: Candles, wild: Candles) -> None:
    old = OHLCTokenizer(Config(volume_bins=8)).fit(calm)
    new = old.refit(wild)
    assert new.fingerprint() == OHLCTokenizer(Config(volume_bins=8)).fit(wild).fingerprint()
    remaps = remap.remap(old, new)
    assert [one.mixing.shape for one in remaps] == list(zip(new.vocab_sizes, old.vocab_sizes, strict=True))
    for one, before, after in zip(remaps, old.bins, new.bins, strict=True):
        assert np.array_equal(one.mixing, remapping(before, after))
        assert np.array_equal(one.push, remapping(after, before))
        assert np.array_equal(one.shift, output_shift(before, after))
    # The nights are stiller: new gap tokens are told by fewer old ones.
    rows = old.encode(wild["WWW"]).tokens[100:, 0]
    assert len(set(rows.tolist())) < 0.8 * old.vocab_sizes[0]
    with pytest.raises(DataError, match="not fitted"):
        OHLCTokenizer().refit(wild)


def test_the_multitask_targets_keep_their_classes(calm: Candles, wild: Candles) -> None:
    old = MultiTaskTokenizer().fit(calm)
    for new in (old.refit(wild), refit_laws(old, wild)):
        assert isinstance(new, MultiTaskTokenizer)
        assert all(np.array_equal(a, b) for a, b in zip(old.target_edges, new.target_edges, strict=True))
    # So new candles may be fewer than a horizon takes.
    assert old.refit(wild.between(None, "2015-02-15")).horizons[-1] == 42


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(volume_bins=8), "tokens of gap, body, up, low, volume cannot be told in"),
        (Config(fast_half_life_bars=10.0), "fast_half_life_bars is 20.0 in the old one and 10.0 in the new"),
        (Config(clip=10.0), "clip is 20.0 in the old one and 10.0"),
    ],
)
def test_other_units_are_refused(calm: Candles, config: Config, words: str) -> None:
    old, new = OHLCTokenizer().fit(calm), OHLCTokenizer(config).fit(calm)
    with pytest.raises(DataError, match=words):
        remap.remap(old, new)
    # The number of bins is no unit.
    assert len(remap.remap(old, OHLCTokenizer(Config(gap_bins=9)).fit(calm))) == 4


def test_refitted_laws_leave_every_token_alone(calm: Candles, wild: Candles, tmp_path: Path) -> None:
    old = OHLCTokenizer().fit(calm)
    new = refit_laws(old, wild)
    assert new.fingerprint() != old.fingerprint()
    series = wild["WWW"]
    rows = new.encode(series)
    assert np.array_equal(rows.tokens, old.encode(series).tokens)
    for channel, (before, after) in enumerate(zip(old.bins, new.bins, strict=True)):
        assert np.array_equal(before.edges, after.edges)
        counts = np.bincount(rows.tokens[:, channel], minlength=len(after))
        assert after.mass == pytest.approx(counts / len(rows))
        few = counts < 8
        assert np.array_equal(before.knots[few], after.knots[few])
        token = int(counts[:-1].argmax())
        inside = rows.channels[rows.tokens[:, channel] == token, channel]
        if token != after.atom:
            assert after.knots[token] == pytest.approx(np.quantile(inside, np.linspace(0, 1, 17)), abs=1e-6)
    # Its file is as good as any.
    new.save(tmp_path / "tokenizer.json")
    assert OHLCTokenizer.load(tmp_path / "tokenizer.json").fingerprint() == new.fingerprint()
    # The middle of a bin is now the middle of what falls into it: no other value is nearer on average.
    before, after = (np.abs(one.values(rows.tokens) - rows.channels).mean(axis=0) for one in (old, new))
    assert (after < before).all()
    with pytest.raises(DataError, match="at least one symbol of two candles"):
        refit_laws(old, Candles([]))
