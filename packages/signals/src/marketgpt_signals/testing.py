"""The conformance suite of signal strategies, for pytest.

Subclass it in your own tests and give it a fixture that makes your strategy::

    class TestMyRule(SignalStrategyConformance):
        @pytest.fixture
        def implementation(self) -> MyRule:
            return strategies().create("my_rule")

``marketgpt plugins check my_rule`` runs the same suite on what is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import PRICES, Candles
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side, Signal
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_core.times import to_datetime
from marketgpt_signals.base import SignalStrategy, price_bands

CREATED_AT = datetime(2016, 2, 1, tzinfo=UTC)
_SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "BTC-USD")
_HORIZONS = (1, 5, 10, 21, 42)
_AS_OF = ("2016-01-04", "2016-01-05", "2016-01-08", "2016-01-11", "2016-01-29")


def make_varied_forecast(
    horizons: Sequence[int] = _HORIZONS, *, as_of: Sequence[str] = _AS_OF, seed: int = 0
) -> Forecast:
    """Return forecasts of several symbols and dates, from a strong fall over no view to a strong rise.

    Some rows carry a large epistemic spread.

    Args:
        horizons: Bars ahead, increasing.
        as_of: Dates.
        seed: Seed of numpy's generator.
    """
    rng = np.random.default_rng(seed)
    plain = make_forecast(_SYMBOLS, as_of=as_of, horizons=horizons, num_samples=400)
    n = len(plain)
    scale = np.sqrt(plain.horizons)[None, :]
    shift = np.linspace(-0.03, 0.03, n)[rng.permutation(n)][:, None] * scale
    quantiles = plain.quantiles + shift[..., None]
    p_up = [
        [1 - np.interp(0.0, quantiles[i, j], plain.levels) for j in range(len(plain.horizons))]
        for i in range(n)
    ]
    return replace(
        plain,
        close=rng.uniform(1.0, 500.0, n),
        quantiles=quantiles,
        p_up=np.array(p_up),
        epistemic=plain.aleatoric * rng.choice([0.0, 0.2, 5.0], size=plain.aleatoric.shape),
    )


def make_history(num_bars: int, *, seed: int = 0) -> Candles:
    """Return candles of the symbols of :func:`make_varied_forecast`, from before its dates to after them.

    Args:
        num_bars: Candles of a symbol up to the first date, at least.
        seed: Seed of numpy's generator.
    """
    start = str(np.busday_offset(np.datetime64(_AS_OF[0]), -num_bars))
    return make_candles(_SYMBOLS, num_candles=num_bars + 60, start=start, seed=seed)


def _changed_after(candles: Candles, as_of: np.datetime64) -> Candles:
    """Return the candles with prices three times as high after a date."""
    changed = []
    for series in candles.values():
        factor = np.where(series.time > as_of, 3.0, 1.0)
        changed.append(replace(series, **{name: getattr(series, name) * factor for name in PRICES}))
    return Candles(changed)


def _poisoned(forecast: Forecast, spared: NDArray[np.bool_]) -> Forecast:
    """Return the forecast with every row but those spared turned into nonsense."""
    others = ~spared
    return replace(
        forecast,
        p_up=np.where(others[:, None], 1.0, forecast.p_up),
        quantiles=np.where(others[:, None, None], forecast.quantiles + 0.5, forecast.quantiles),
        close=np.where(others, 1e6, forecast.close),
        aleatoric=np.where(others[:, None], 1e3, forecast.aleatoric),
        epistemic=np.where(others[:, None], 0.0, forecast.epistemic),
    )


class SignalStrategyConformance:
    """What every signal strategy must do."""

    @staticmethod
    def _forecast(implementation: SignalStrategy) -> Forecast:
        horizons = getattr(implementation.config, "horizons", ())
        return make_varied_forecast(sorted(horizons) or _HORIZONS)

    @staticmethod
    def _signals(
        implementation: SignalStrategy, forecast: Forecast, candles: Candles | None = None
    ) -> list[Signal]:
        if not implementation.history_bars:
            return implementation.signals(forecast, created_at=CREATED_AT)
        history = make_history(implementation.history_bars) if candles is None else candles
        return implementation.signals(forecast, created_at=CREATED_AT, candles=history)

    @staticmethod
    def _of_row(made: Sequence[Signal], forecast: Forecast, row: int) -> list[Signal]:
        """Return the signals of one row, by horizon."""
        key = (forecast.symbols[row], to_datetime(forecast.as_of[row]))
        found = [signal for signal in made if (signal.symbol, signal.as_of) == key]
        return sorted(found, key=lambda signal: signal.horizon_bars)

    def test_one_signal_for_each_row_and_horizon(self, implementation: SignalStrategy) -> None:
        """Abstaining is a signal too: silence cannot be told from a failure."""
        forecast = self._forecast(implementation)
        found = sorted((s.symbol, s.as_of, s.horizon_bars) for s in self._signals(implementation, forecast))
        expected = sorted(
            (symbol, to_datetime(as_of), int(horizon))
            for symbol, as_of in zip(forecast.symbols, forecast.as_of, strict=True)
            for horizon in forecast.horizons
        )
        assert found == expected

    def test_what_is_said_is_what_was_forecast(self, implementation: SignalStrategy) -> None:
        """Probability, close and bands come from the row; provenance is carried over."""
        forecast = self._forecast(implementation)
        bands = price_bands(forecast)
        row_of = {
            (symbol, to_datetime(as_of)): row
            for row, (symbol, as_of) in enumerate(zip(forecast.symbols, forecast.as_of, strict=True))
        }
        for signal in self._signals(implementation, forecast):
            row, column = row_of[signal.symbol, signal.as_of], forecast.horizon_index(signal.horizon_bars)
            assert signal.probability == forecast.p_up[row, column], signal
            assert signal.close == forecast.close[row], signal
            said = (signal.bands.q05, signal.bands.q25, signal.bands.q50, signal.bands.q75, signal.bands.q95)
            assert np.allclose(said, bands[row, column], rtol=1e-9), signal
            assert signal.interval is forecast.interval, signal
            assert signal.model_id == forecast.model_id, signal
            assert signal.data_fingerprint == forecast.data_fingerprint, signal
            assert signal.created_at == CREATED_AT, signal

    def test_confidence_is_between_0_and_1(self, implementation: SignalStrategy) -> None:
        """0: nothing beyond the base rate, 1: certain."""
        for signal in self._signals(implementation, self._forecast(implementation)):
            assert 0.0 <= signal.confidence <= 1.0, signal

    def test_every_side_is_one_of_three_and_an_abstention_says_why(
        self, implementation: SignalStrategy
    ) -> None:
        """A FLAT without a reason helps nobody."""
        for signal in self._signals(implementation, self._forecast(implementation)):
            assert signal.side in set(Side), signal
            assert signal.side is not Side.FLAT or signal.reason.strip(), signal

    def test_it_signs_with_its_name(self, implementation: SignalStrategy) -> None:
        """The ledger tells strategies apart by ``name``."""
        names = {s.strategy for s in self._signals(implementation, self._forecast(implementation))}
        assert names == {implementation.name}
        assert implementation.name.strip()

    def test_ids_are_unique(self, implementation: SignalStrategy) -> None:
        """No two statements may be one row of the ledger."""
        ids = [signal.id for signal in self._signals(implementation, self._forecast(implementation))]
        assert len(set(ids)) == len(ids)

    def test_expiry_comes_after_the_bar_it_was_made_on(self, implementation: SignalStrategy) -> None:
        """Longer horizons expire no earlier than shorter ones."""
        forecast = self._forecast(implementation)
        made = self._signals(implementation, forecast)
        for row in range(len(forecast)):
            said = self._of_row(made, forecast, row)
            expiries = [signal.expires_at for signal in said]
            assert min(expiries) > said[0].as_of, said[0]
            assert expiries == sorted(expiries), said

    def test_other_rows_do_not_matter(self, implementation: SignalStrategy) -> None:
        """A row's signals stay the same whatever other rows hold; a cross-section's own rows may matter."""
        forecast = self._forecast(implementation)
        made = self._signals(implementation, forecast)
        for row in range(0, len(forecast), len(_SYMBOLS) - 1):  # each symbol in turn
            mine = np.arange(len(forecast)) == row
            if implementation.cross_section:
                mine = forecast.as_of == forecast.as_of[row]
            known = self._of_row(self._signals(implementation, forecast.rows(mine)), forecast, row)
            assert self._of_row(made, forecast, row) == known
            poisoned = _poisoned(forecast, mine)
            assert self._of_row(self._signals(implementation, poisoned), forecast, row) == known

    def test_order_of_rows_does_not_matter(self, implementation: SignalStrategy) -> None:
        """Forecasts come in any order."""
        forecast = self._forecast(implementation)
        shuffled = forecast.rows(np.random.default_rng(1).permutation(len(forecast)))
        assert set(self._signals(implementation, shuffled)) == set(self._signals(implementation, forecast))

    def test_no_lookahead(self, implementation: SignalStrategy) -> None:
        """What was said by a date stays the same when later dates are added."""
        forecast = self._forecast(implementation)
        everything = self._signals(implementation, forecast)
        for as_of in np.unique(forecast.as_of):
            known = forecast.rows(forecast.as_of <= as_of)
            then = [signal for signal in everything if signal.as_of <= to_datetime(as_of)]
            assert set(self._signals(implementation, known)) == set(then)

    def test_later_candles_do_not_matter(self, implementation: SignalStrategy) -> None:
        """What was said by a date stays the same whatever the candles do afterwards."""
        if not implementation.history_bars:
            return
        forecast = self._forecast(implementation)
        everything = self._signals(implementation, forecast)
        history = make_history(implementation.history_bars)
        for as_of in np.unique(forecast.as_of):
            then = {signal for signal in everything if signal.as_of <= to_datetime(as_of)}
            known = forecast.rows(forecast.as_of <= as_of)
            for candles in (history.until(as_of), _changed_after(history, as_of)):
                assert set(self._signals(implementation, known, candles)) == then

    def test_too_little_history_is_an_abstention(self, implementation: SignalStrategy) -> None:
        """A strategy that reads candles says FLAT, and why, where they are missing or too few."""
        if not implementation.history_bars:
            return
        forecast = self._forecast(implementation)
        last = Candles(series.until(_AS_OF[-1])[-1:] for series in make_history(1).values())
        for candles in (Candles([]), last):
            for signal in self._signals(implementation, forecast, candles):
                assert signal.side is Side.FLAT, signal
                assert signal.reason.strip(), signal

    def test_size_is_between_0_and_1(self, implementation: SignalStrategy) -> None:
        """A fraction of the symbol's budget: nothing is levered."""
        for signal in self._signals(implementation, self._forecast(implementation)):
            assert 0.0 < signal.size <= 1.0, signal

    def test_it_is_silent_where_the_model_does_not_know(self, implementation: SignalStrategy) -> None:
        """An unknown epistemic spread, and an asset the model never saw, leave nothing to act on."""
        plain = self._forecast(implementation)
        unknown = replace(plain, epistemic=np.full_like(plain.epistemic, np.nan))
        assert {signal.side for signal in self._signals(implementation, unknown)} == {Side.FLAT}
        if not implementation.config.allow_caveats:
            stranger = replace(plain, caveats=("never seen",) * len(plain))
            assert {signal.side for signal in self._signals(implementation, stranger)} == {Side.FLAT}

    def test_same_forecast_same_signals(self, implementation: SignalStrategy) -> None:
        """It keeps no state and draws no lots."""
        forecast = self._forecast(implementation)
        first = self._signals(implementation, forecast)
        self._signals(implementation, make_varied_forecast([int(h) for h in forecast.horizons], seed=7))
        assert self._signals(implementation, forecast) == first

    def test_the_forecast_is_left_as_it_was(self, implementation: SignalStrategy) -> None:
        """Others read it too."""
        forecast, copy = self._forecast(implementation), self._forecast(implementation)
        self._signals(implementation, forecast)
        for name in ("as_of", "close", "horizons", "levels", "quantiles", "p_up", "aleatoric", "epistemic"):
            assert np.array_equal(getattr(forecast, name), getattr(copy, name)), name

    def test_a_coin_toss_is_an_abstention(self, implementation: SignalStrategy) -> None:
        """P(up) of exactly a half and a symmetric law leave nothing to act on."""
        plain = self._forecast(implementation)
        half = (plain.quantiles - plain.quantiles[..., ::-1]) / 2
        toss = replace(plain, p_up=np.full_like(plain.p_up, 0.5), quantiles=half)
        assert {signal.side for signal in self._signals(implementation, toss)} == {Side.FLAT}
