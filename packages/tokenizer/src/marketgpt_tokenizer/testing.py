"""What every tokenizer must do, as a pytest class.

Subclass it in a plugin's tests and give a fixture ``implementation`` that returns a fresh, unfitted instance;
``marketgpt plugins check NAME`` does the same for an installed one. A tokenizer that gives horizon targets
(:class:`marketgpt_core.tokens.TargetTokenizer`) is tested for those, too; for others these tests skip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import TargetTokenizer, TokenSeries, VolatilityState
from marketgpt_tokenizer.base import Tokenizer


def extended(series: CandleSeries, candles: dict[str, NDArray[np.float64]]) -> CandleSeries:
    """Return the series with further daily candles: ``open``, ``high``, ``low``, ``close`` of shape (T,)."""
    count = len(candles["close"])
    days = series.time[-1] + np.arange(1, count + 1) * np.timedelta64(1, "D")
    new: dict[str, Any] = {"time": days, "volume": np.zeros(count), **candles}
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(series, name), values]) for name, values in new.items()
    }
    return replace(series, **columns)


def same(one: TokenSeries, other: TokenSeries) -> bool:
    """Whether two token series are equal to the last bit."""
    names = ("time", "tokens", "channels", "sigma", "next_sigma", "slow_sigma", "close")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def random_tokens(tokenizer: Tokenizer, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return uniform random tokens, shape (count, K)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, count) for size in tokenizer.vocab_sizes], axis=1)


class TokenizerConformance:
    """One method per requirement; subclasses provide the fixture ``implementation``."""

    @pytest.fixture
    def candles(self) -> Candles:
        """Return the training candles; override it for a tokenizer that needs others."""
        return make_candles(("AAA", "BBB", "CCC"), num_candles=600)

    @pytest.fixture
    def fitted(self, implementation: Tokenizer, candles: Candles) -> Tokenizer:
        """Return the implementation fitted on the training candles."""
        return implementation.fit(candles)

    def decode_next(
        self, fitted: Tokenizer, row: NDArray[np.int64], state: VolatilityState, close: float
    ) -> dict[str, NDArray[np.float64]]:
        """Decode the next candle of a path; override it for a tokenizer that needs more than sigma."""
        return fitted.decode(row[None], fitted.sigma(state), close)

    def test_before_fit_it_says_so(self, implementation: Tokenizer, candles: Candles) -> None:
        """An unfitted tokenizer refuses to encode with a DataError."""
        with pytest.raises(DataError):
            implementation.encode(candles["AAA"])

    def test_rows_and_types(self, fitted: Tokenizer, candles: Candles) -> None:
        """T candles give T - 1 rows of the promised shapes and types, ids inside the vocabulary."""
        series = candles["AAA"]
        rows = fitted.encode(series)
        count, channels = len(series) - 1, len(fitted.channel_names)
        assert len(fitted.vocab_sizes) == channels
        assert rows.tokens.shape == rows.channels.shape == (count, channels)
        assert rows.tokens.dtype == np.int16
        assert rows.channels.dtype == np.float32
        assert np.array_equal(rows.time, series.time[1:])
        assert np.array_equal(rows.close, series.close[1:])
        assert (rows.tokens >= 0).all()
        assert (rows.tokens < np.array(fitted.vocab_sizes)).all()
        assert np.isfinite(rows.channels).all()
        for sigma in (rows.sigma, rows.next_sigma, rows.slow_sigma):
            assert sigma.shape == (count,)
            assert (sigma > 0).all()
            assert np.isfinite(sigma).all()
        assert np.array_equal(rows.sigma[1:], rows.next_sigma[:-1])

    def test_one_candle_is_too_few(self, fitted: Tokenizer, candles: Candles) -> None:
        """A series without a predecessor for any candle is refused."""
        with pytest.raises(DataError):
            fitted.encode(candles["AAA"][:1])

    def test_prefix_invariance(self, fitted: Tokenizer, candles: Candles) -> None:
        """No look-ahead: the rows of a prefix are the first rows of the whole, to the last bit."""
        series = candles["AAA"]
        whole = fitted.encode(series)
        for count in (2, 3, 59, 61, 200, len(series) - 1):
            rows = slice(0, count - 1)
            names = ("time", "tokens", "channels", "sigma", "next_sigma", "slow_sigma", "close")
            cut = replace(whole, **{name: getattr(whole, name)[rows] for name in names})
            assert same(fitted.encode(series[:count]), cut), f"a prefix of {count} candles differs"

    def test_later_candles_change_nothing_before(self, fitted: Tokenizer, candles: Candles) -> None:
        """No look-ahead: wild candles after row 300 leave the rows before it alone."""
        series = candles["AAA"]
        fall = np.where(np.arange(len(series)) < 300, 1.0, 0.25)
        crash: dict[str, Any] = {name: values * fall for name, values in _prices(series).items()}
        before, after = fitted.encode(series), fitted.encode(replace(series, **crash))
        assert np.array_equal(before.tokens[:299], after.tokens[:299])
        assert np.array_equal(before.next_sigma[:299], after.next_sigma[:299])
        assert not np.array_equal(before.next_sigma[299:], after.next_sigma[299:])

    def test_fit_depends_on_the_training_part_alone(
        self, implementation: Tokenizer, candles: Candles
    ) -> None:
        """Candles outside the training part do not leak into the fit, and fitting leaves no trace."""
        cut = candles["AAA"].time[400]
        later = make_candles(candles.symbols, num_candles=600, daily_volatility=0.05, seed=1)
        joined = Candles(
            extended(candles.between(None, cut)[name], _prices(later[name])) for name in candles.symbols
        )
        first = implementation.fit(candles.between(None, cut)).fingerprint()
        again = implementation.fit(joined.between(None, cut)).fingerprint()
        assert first == again
        assert first != implementation.fit(joined).fingerprint()

    def test_every_token_tuple_is_a_legal_candle(self, fitted: Tokenizer) -> None:
        """Random tokens at any scale decode to candles that pass the core's own checks."""
        for seed, scale in enumerate((1e-5, 0.01, 0.3)):
            tokens = random_tokens(fitted, 2_000, seed)
            decoded: dict[str, Any] = fitted.decode(tokens, np.full(len(tokens), scale), 100.0)
            days = np.datetime64("2000-01-01", "ns") + np.arange(len(tokens)) * np.timedelta64(1, "D")
            template = make_candles(("X",), num_candles=1)["X"]
            # The constructor of Candles refuses what is not legal.
            Candles([replace(template, time=days, volume=np.zeros(len(tokens)), **decoded)])

    def test_closes_chain(self, fitted: Tokenizer) -> None:
        """Decoding at once equals decoding one by one, each after the close before."""
        tokens, sigma = random_tokens(fitted, 50), np.linspace(0.005, 0.02, 50)
        together = fitted.decode(tokens, sigma, 100.0)
        close = 100.0
        for row in range(50):
            alone = fitted.decode(tokens[row : row + 1], sigma[row : row + 1], close)
            for name, values in together.items():
                assert alone[name][0] == pytest.approx(values[row], rel=1e-9)
            close = float(alone["close"][0])

    def test_decode_then_encode_gives_the_tokens_back(self, fitted: Tokenizer, candles: Candles) -> None:
        """A decoded candle is encoded to its own tokens, and path states agree with encoding.

        Random tokens are decoded step by step after real candles; then the whole is encoded.
        """
        start, tokens = candles["AAA"][:300], random_tokens(fitted, 40)
        state, close = fitted.begin(start), float(start.close[-1])
        steps: list[dict[str, NDArray[np.float64]]] = []
        sigmas, slows = [], []
        for row in tokens:
            sigmas.append(fitted.sigma(state)[0])
            steps.append(self.decode_next(fitted, row, state, close))
            close = float(steps[-1]["close"][0])
            state = fitted.advance(state, fitted.values(row[None]))
            slows.append(fitted.slow_sigma(state)[0])
        series = extended(start, {name: np.concatenate([step[name] for step in steps]) for name in steps[0]})
        encoded = fitted.encode(series)
        assert np.array_equal(encoded.tokens[-40:], tokens)
        assert encoded.sigma[-40:] == pytest.approx(np.array(sigmas), rel=1e-9)
        assert encoded.slow_sigma[-40:] == pytest.approx(np.array(slows), rel=1e-9)

    def test_many_beginnings_of_a_series(self, fitted: Tokenizer, candles: Candles) -> None:
        """begin_at gives, for each count of candles, what begin gives of these alone, to the last bit."""
        series, ends = candles["AAA"], np.array([1, 2, 300, 59, 300])
        together = fitted.begin_at(series, ends)
        assert len(together) == len(ends)
        for number, end in enumerate(ends):
            alone = fitted.begin(series[:end])
            assert fitted.sigma(together)[number] == fitted.sigma(alone)[0]
            assert fitted.slow_sigma(together)[number] == fitted.slow_sigma(alone)[0]

    def test_paths_are_independent(self, fitted: Tokenizer, candles: Candles) -> None:
        """N paths advanced together equal each advanced alone."""
        starts = [fitted.begin(candles[name]) for name in ("AAA", "BBB")]
        together = VolatilityState.concatenated(starts).repeat(2)
        values = fitted.values(random_tokens(fitted, 4))
        moved = fitted.advance(together, values)
        for path in range(4):
            alone = fitted.advance(starts[path // 2], values[path : path + 1])
            assert fitted.sigma(moved)[path] == fitted.sigma(alone)[0]

    def test_values_inside_a_bin_follow_u(self, fitted: Tokenizer) -> None:
        """Values do not decrease with u, the median is u = 1/2, and every draw keeps its token's order."""
        tokens = random_tokens(fitted, 500)
        draws = [fitted.values(tokens, np.full(tokens.shape, u)) for u in (0.0, 0.25, 0.5, 0.75, 0.999)]
        assert all((low <= high).all() for low, high in pairwise(draws))
        assert fitted.values(tokens) == pytest.approx(draws[2])
        for channel, size in enumerate(fitted.vocab_sizes):
            ladder = np.zeros((size, len(fitted.vocab_sizes)), dtype=np.int64)
            ladder[:, channel] = np.arange(size)
            ends = [fitted.values(ladder, np.full(ladder.shape, u))[:, channel] for u in (0.0, 0.999)]
            assert (ends[1][:-1] <= ends[0][1:]).all(), "bins overlap or are not ordered by value"

    def test_tokens_outside_the_vocabulary_are_refused(self, fitted: Tokenizer) -> None:
        """Neither a negative token nor one too large is taken for another."""
        for bad in (-1, max(fitted.vocab_sizes)):
            tokens = np.full((1, len(fitted.vocab_sizes)), bad)
            with pytest.raises(DataError):
                fitted.values(tokens)

    def test_save_and_load(self, fitted: Tokenizer, candles: Candles, tmp_path: Path) -> None:
        """A saved tokenizer comes back with the same fingerprint, tokens and candles."""
        path = tmp_path / "tokenizer.json"
        fitted.save(path)
        loaded = type(fitted).load(path)
        assert loaded.fingerprint() == fitted.fingerprint()
        assert same(loaded.encode(candles["BBB"]), fitted.encode(candles["BBB"]))
        tokens = random_tokens(fitted, 20)
        ours, theirs = (one.decode(tokens, np.full(20, 0.01), 50.0) for one in (fitted, loaded))
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)

    def test_a_damaged_file_is_refused(self, fitted: Tokenizer, tmp_path: Path) -> None:
        """Half a file, and a file that says nothing, raise a DataError of one line."""
        path = tmp_path / "tokenizer.json"
        fitted.save(path)
        text = path.read_text(encoding="utf-8")
        damages: list[Callable[[], str]] = [lambda: text[: len(text) // 2], lambda: "{}", lambda: "[]"]
        for damage in damages:
            path.write_text(damage(), encoding="utf-8")
            with pytest.raises(DataError) as caught:
                type(fitted).load(path)
            assert "\n" not in str(caught.value)

    @pytest.fixture
    def targets(self, fitted: Tokenizer) -> TargetTokenizer:
        """Return the fitted tokenizer if it gives horizon targets."""
        if not isinstance(fitted, TargetTokenizer):
            pytest.skip("it gives no horizon targets")
        return fitted

    def test_target_sizes_are_known_before_fit(
        self, implementation: Tokenizer, targets: TargetTokenizer
    ) -> None:
        """A model is built from names, sizes and horizons: fitting does not change them."""
        # Not isinstance: up to Python 3.11 that asks an unfitted tokenizer for its vocabulary.
        for name in ("target_names", "target_sizes", "horizons"):
            assert getattr(implementation, name) == getattr(targets, name)
        assert len(targets.target_names) == len(targets.target_sizes)
        assert list(targets.horizons) == sorted(set(targets.horizons))

    def test_targets_go_with_the_rows(self, targets: TargetTokenizer, candles: Candles) -> None:
        """T - 1 rows of int16 classes inside each task's size; -1 exactly where a horizon passes the end."""
        series = candles["AAA"]
        classes = targets.horizon_targets(series)
        rows = len(targets.encode(series))
        assert classes.shape == (rows, len(targets.horizons), len(targets.target_names))
        assert classes.dtype == np.int16
        assert (classes < np.array(targets.target_sizes)).all()
        for column, horizon in enumerate(targets.horizons):
            known = (classes[:, column] >= 0).all(axis=-1)
            assert known.tolist() == [row + horizon < rows for row in range(rows)]
            assert (classes[~known, column] == -1).all()

    def test_targets_see_their_horizon_and_no_further(
        self, targets: TargetTokenizer, candles: Candles
    ) -> None:
        """Wild candles change no target whose horizon ends before them, and one whose horizon they end."""
        series = candles["BBB"]
        first = 300
        wild = np.where(np.arange(len(series)) < first, 1.0, 4.0)
        changed: dict[str, Any] = {name: values * wild for name, values in _prices(series).items()}
        before = targets.horizon_targets(series)
        after = targets.horizon_targets(replace(series, **changed))
        for column, horizon in enumerate(targets.horizons):
            # Row t stands for candle t + 1, whose target sees candles up to t + 1 + h.
            untouched = slice(0, first - 1 - horizon)
            assert np.array_equal(before[untouched, column], after[untouched, column])
            ended = first - 1 - horizon
            assert (after[ended, column] != before[ended, column]).any()

    def test_targets_of_a_prefix_are_those_of_the_whole(
        self, targets: TargetTokenizer, candles: Candles
    ) -> None:
        """What is known of a prefix's targets does not change when candles are added."""
        series = candles["AAA"]
        whole = targets.horizon_targets(series)
        for count in (2, 3, 50, 200, len(series) - 1):
            part = targets.horizon_targets(series[:count])
            known = part >= 0
            assert np.array_equal(part[known], whole[: count - 1][known])

    def test_every_class_occurs_in_training(self, targets: TargetTokenizer, candles: Candles) -> None:
        """Classes were cut on the training part: none is empty there."""
        classes = np.concatenate([targets.horizon_targets(series) for series in candles.values()])
        for column in range(len(targets.horizons)):
            for task, size in enumerate(targets.target_sizes):
                found = classes[:, column, task]
                assert set(found[found >= 0].tolist()) == set(range(size))

    def test_targets_are_saved(
        self, fitted: Tokenizer, targets: TargetTokenizer, candles: Candles, tmp_path: Path
    ) -> None:
        """A loaded tokenizer gives the same targets."""
        path = tmp_path / "tokenizer.json"
        fitted.save(path)
        loaded = type(fitted).load(path)
        assert isinstance(loaded, TargetTokenizer)
        ours, theirs = (one.horizon_targets(candles["CCC"]) for one in (targets, loaded))
        assert np.array_equal(ours, theirs)

    def test_targets_of_one_candle_are_refused(self, targets: TargetTokenizer, candles: Candles) -> None:
        """As encode refuses it: there is no row to go with."""
        with pytest.raises(DataError):
            targets.horizon_targets(candles["AAA"][:1])


def _prices(series: CandleSeries) -> dict[str, NDArray[np.float64]]:
    return {name: getattr(series, name) for name in ("open", "high", "low", "close")}
