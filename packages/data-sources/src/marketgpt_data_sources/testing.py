"""What every data source must do: a pytest class for its author.

Subclass it, give a fixture ``implementation`` and run pytest::

    from marketgpt_data_sources.testing import DataSourceConformance

    class TestMySource(DataSourceConformance):
        @pytest.fixture
        def implementation(self, tmp_path):
            return MySource(MySource.Config(location=tmp_path / "prices.db"))
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol
from marketgpt_data_sources.base import DataSource

# Names no market has: the second is what an attacker would try.
_UNKNOWN = "QQQQZZZZ"
_HOSTILE = "../../etc/passwd"


class DataSourceConformance:
    """Requirements on a data source, one test each.

    The fixture ``implementation`` gives a fresh, opened source. When it can name no symbols itself, or needs
    a location it was not given, tests are skipped and say so.

    Attributes:
        sample_symbols: Symbols to fetch; () for the first three the source lists.
        sample_interval: Their interval; None for the first at which the source lists any.
        unknown_symbol: A symbol it does not have.
    """

    sample_symbols: ClassVar[tuple[str, ...]] = ()
    sample_interval: ClassVar[Interval | None] = None
    unknown_symbol: ClassVar[str] = _UNKNOWN

    @pytest.fixture
    def implementation(self) -> DataSource:
        """Return a fresh source; to be overridden."""
        raise NotImplementedError("give a fixture 'implementation' that returns a source")

    @pytest.fixture
    def asked(self, implementation: DataSource) -> tuple[list[str], Interval]:
        """Return symbols to fetch and their interval."""
        listed = _listed(implementation, self.sample_interval)
        if self.sample_symbols:
            return list(self.sample_symbols), self.sample_interval or Interval.DAY
        if listed is None:
            pytest.skip("the source lists no symbols: set sample_symbols in a subclass of this suite")
        symbols, interval = listed
        return list(symbols[:3]), interval

    @pytest.fixture
    def candles(self, implementation: DataSource, asked: tuple[list[str], Interval]) -> Candles:
        """Return everything there is of the symbols to fetch."""
        symbols, interval = asked
        fetched = implementation.fetch(symbols, interval=interval)
        assert isinstance(fetched, Candles)
        assert fetched.num_candles > 0, f"no candles of {symbols} at {interval}: the suite needs some"
        return fetched

    def test_has_a_frozen_config(self, implementation: DataSource) -> None:
        """Options are a pydantic class: validated, closed and frozen."""
        assert issubclass(type(implementation).Config, BaseConfig)

    def test_location_fills_a_field_of_its_config(self, implementation: DataSource) -> None:
        """The text after the colon has a field to go to."""
        field = type(implementation).location_field
        assert field is None or field in type(implementation).Config.model_fields

    def test_lists_symbols_once_and_stably(self, implementation: DataSource) -> None:
        """Symbols are symbols, each listed once, in the same order each time."""
        listed = _listed(implementation, self.sample_interval)
        symbols, interval = listed or ((), Interval.DAY)
        assert isinstance(implementation.symbols(interval), tuple)
        assert len(set(symbols)) == len(symbols)
        assert all(check_symbol(symbol) == symbol for symbol in symbols)
        assert implementation.symbols(interval) == symbols

    def test_gives_what_was_asked_for(self, candles: Candles, asked: tuple[list[str], Interval]) -> None:
        """Only the symbols asked for, in that order, at that interval."""
        symbols, interval = asked
        assert list(candles.symbols) == [symbol for symbol in symbols if symbol in candles]
        assert candles.interval is interval
        assert all(series.interval is interval and series.symbol == name for name, series in candles.items())

    def test_one_symbol_alone_is_the_same(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """What comes of a symbol does not depend on its company."""
        last = candles.symbols[-1]
        alone = implementation.fetch([last], interval=asked[1])
        assert alone.fingerprint() == candles.select([last]).fingerprint()

    def test_times_are_utc_and_increase(self, candles: Candles) -> None:
        """Stamps are datetime64[ns], sorted, never repeated; a day's is its midnight."""
        for series in candles.values():
            assert series.time.dtype == np.dtype("datetime64[ns]")
            assert (np.diff(series.time).astype("int64") > 0).all(), f"{series.symbol}: not increasing"
            if not series.interval.is_intraday:
                assert (series.time == series.time.astype("datetime64[D]")).all(), (
                    f"{series.symbol}: not midnight"
                )

    def test_candles_are_possible(self, candles: Candles) -> None:
        """Prices are positive and finite, high and low enclose open and close, volume is not negative."""
        for series in candles.values():
            prices = np.stack([series.open, series.high, series.low, series.close])
            assert np.isfinite(prices).all()
            assert (prices > 0).all()
            assert (series.high >= np.maximum(series.open, series.close)).all()
            assert (series.low <= np.minimum(series.open, series.close)).all()
            assert (series.volume >= 0).all()

    def test_range_is_half_open(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """The start is included, the end is not, and the range changes no candle."""
        symbols, interval = asked
        longest = max(candles.values(), key=len).time
        start, end = longest[len(longest) // 3], longest[2 * len(longest) // 3]
        part = implementation.fetch(symbols, start=start, end=end, interval=interval)
        assert part.fingerprint() == candles.between(start, end).fingerprint()
        rest = implementation.fetch(symbols, start=end, interval=interval)
        assert rest.fingerprint() == candles.between(end, None).fingerprint()

    def test_empty_range_gives_empty_candles(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """A range without candles is no error."""
        symbols, interval = asked
        moment = candles.start
        assert moment is not None
        assert len(implementation.fetch(symbols, start=moment, end=moment, interval=interval)) == 0
        before = moment - np.timedelta64(10, "D")
        assert len(implementation.fetch(symbols, start=before, end=moment, interval=interval)) == 0

    def test_unknown_symbol_is_refused_with_a_hint(
        self, implementation: DataSource, asked: tuple[list[str], Interval]
    ) -> None:
        """The error names the symbol and, where the source can list any, what it may have meant."""
        interval = asked[1]
        with pytest.raises(DataError, match=self.unknown_symbol):
            implementation.fetch([self.unknown_symbol], interval=interval)
        listed = implementation.symbols(interval)
        if listed:
            misspelt = next(name for name in (f"{listed[0]}Q", f"{listed[0]}QZ") if name not in listed)
            with pytest.raises(DataError) as refused:
                implementation.fetch([misspelt], interval=interval)
            assert misspelt in str(refused.value)
            assert "did you mean" in str(refused.value)

    def test_hostile_symbol_is_refused(
        self, implementation: DataSource, asked: tuple[list[str], Interval]
    ) -> None:
        """A symbol never becomes a path or a query."""
        with pytest.raises(DataError):
            implementation.fetch([_HOSTILE], interval=asked[1])

    def test_same_request_gives_the_same_candles(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """Asking twice changes nothing: runs record the fingerprint."""
        symbols, interval = asked
        again = implementation.fetch(symbols, interval=interval)
        assert again.fingerprint() == candles.fingerprint()


def _listed(source: DataSource, interval: Interval | None) -> tuple[tuple[str, ...], Interval] | None:
    # Days first: nearly every source has them.
    order = [Interval.DAY, *Interval] if interval is None else [interval]
    try:
        found = ((source.symbols(one), one) for one in order)
        return next((pair for pair in found if pair[0]), None)
    except ConfigError as error:
        pytest.skip(f"the source cannot be used with default options: {error}")
