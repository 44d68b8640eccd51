"""What every data source must do: a pytest class for its author.

Subclass it, give a fixture ``implementation`` and run pytest::

    from marketgpt_data_sources.testing import DataSourceConformance

    class TestMySource(DataSourceConformance):
        @pytest.fixture
        def implementation(self, tmp_path):
            return MySource(MySource.Config(location=tmp_path / "prices.db"))

A source that asks somebody else (a :class:`~marketgpt_data_sources.pacing.network.NetworkSource`) is given a
loopback server by its fixture; the suite replaces its clock and never waits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import FIELDS, Candles
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol
from marketgpt_core.times import Moment
from marketgpt_data_sources import shapes
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.pacing.testing import NetworkRequirements

# What an attacker would try, and what a careless file holds.
HOSTILE_SYMBOLS = {
    "parent": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "backslash": "..\\..\\windows",
    "sql": "AAPL'; DROP TABLE candles; --",
    "quote": 'AAPL" OR "1"="1',
    "homoglyphs": "\u0410\u0410\u0420L",  # Cyrillic, but for the last
    "fullwidth": "\uff21\uff21\uff30\uff2c",
    "right to left": "AAPL\u202egnp",
    "nul": "AAPL\0.csv",
    "newline": "AAPL\nHost: evil",
    "query": "AAPL?x=1&y=2#z",
    "percent": "AAPL%2f..%2f",
    "template": "{0.__class__}",
    "space": " AAPL",
    "empty": "",
    "long": "A" * 10_000,
}
_UNKNOWN = "QQQQZZZZ"
_MOST_MESSAGE = 1_000
# What the interpreter tells when something outside it is touched.
_TOUCHES = ("open", "os.", "pathlib.", "shutil.", "sqlite3.", "subprocess.", "socket.", "urllib.", "http.")


class DataSourceConformance(NetworkRequirements):
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

    @pytest.mark.parametrize("symbol", HOSTILE_SYMBOLS.values(), ids=HOSTILE_SYMBOLS.keys())
    def test_hostile_symbol_touches_nothing(
        self, implementation: DataSource, asked: tuple[list[str], Interval], symbol: str
    ) -> None:
        """What is no symbol never becomes a path, a query or a request; the error is one short line."""
        for ask in (
            lambda: implementation.fetch([symbol], interval=asked[1]),
            lambda: list(implementation.raw([symbol], interval=asked[1])),
        ):
            with _touched() as touched, pytest.raises(DataError) as refused:
                ask()
            assert [event for event, text in touched if symbol and symbol in text] == []
            message = str(refused.value)
            assert "\n" not in message
            assert len(message) < _MOST_MESSAGE, f"a message of {len(message)} characters"

    def test_raw_is_what_fetch_is_made_of(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """Long frames in naive UTC, which checked, adjusted and cut give the candles of ``fetch``."""
        symbols, interval = asked
        _same(_from_raw(implementation, symbols, interval), candles)

    def test_raw_of_a_range_has_all_its_rows(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """``raw`` may bring more than the range, never less."""
        symbols, interval = asked
        longest = max(candles.values(), key=len).time
        start, end = longest[len(longest) // 3], longest[2 * len(longest) // 3]
        _same(_from_raw(implementation, symbols, interval, start, end), candles.between(start, end))
        first = min(one.time[0] for one in candles.values())
        assert len(_from_raw(implementation, symbols, interval, first - np.timedelta64(10, "D"), first)) == 0

    def test_threads_may_share_it(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """As many threads as it says may fetch side by side."""
        assert implementation.max_concurrency >= 1
        if implementation.max_concurrency == 1:
            pytest.skip("one thread at a time: max_concurrency is 1")

        def fetch(symbol: str) -> Candles:
            return implementation.fetch([symbol], interval=asked[1])

        several = list(candles) * 4
        with ThreadPoolExecutor(min(implementation.max_concurrency, 4)) as pool:
            for symbol, found in zip(several, pool.map(fetch, several), strict=True):
                assert found.fingerprint() == candles.select([symbol]).fingerprint()

    def test_same_request_gives_the_same_candles(
        self, implementation: DataSource, candles: Candles, asked: tuple[list[str], Interval]
    ) -> None:
        """Asking twice changes nothing: runs record the fingerprint."""
        symbols, interval = asked
        again = implementation.fetch(symbols, interval=interval)
        assert again.fingerprint() == candles.fingerprint()


_hooked: list[list[tuple[str, str]]] = []


@contextmanager
def _touched() -> Iterator[list[tuple[str, str]]]:
    """Record what the interpreter audits while the block runs: (event, its arguments as text)."""
    if not _hooked:
        _hooked.append([])

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if len(_hooked) > 1 and event.startswith(_TOUCHES):
                texts = (
                    one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
                    for one in arguments
                    if isinstance(one, str | bytes)
                )
                _hooked[-1].append((event, " ".join(texts)))

        # A hook stays for the life of the process; it does nothing while no block records.
        sys.addaudithook(hook)
    _hooked.append([])
    try:
        yield _hooked[-1]
    finally:
        _hooked.pop()


def _from_raw(
    source: DataSource,
    symbols: Sequence[str],
    interval: Interval,
    start: Moment | None = None,
    end: Moment | None = None,
) -> Candles:
    frames = []
    for where, frame in source.raw(symbols, start=start, end=end, interval=interval):
        assert isinstance(where, str)
        assert where
        missing = {"symbol", "time", *FIELDS} - set(frame.columns)
        assert not missing, f"a raw frame lacks {missing}"
        assert frame["time"].dtype.kind == "M"
        assert frame["time"].dt.tz is None, "raw times are naive UTC"
        assert set(frame["symbol"]) <= set(symbols)
        if "adj_close" in frame.columns and getattr(source.config, "adjust", True):
            frame = shapes.adjusted(frame, where=where)  # noqa: PLW2901
        frames.append(shapes.without_impossible(frame, where=where))
    if not frames:
        return Candles([], interval=interval)
    whole = pd.concat(frames, ignore_index=True).drop(columns=["row", "adj_close"], errors="ignore")
    found = Candles.from_frame(whole, interval=interval).between(start, end)
    return found.select([symbol for symbol in symbols if symbol in found])


def _same(found: Candles, expected: Candles) -> None:
    assert found.symbols == expected.symbols
    for symbol, series in expected.items():
        assert (found[symbol].time.shape, symbol) == (series.time.shape, symbol)
        assert (found[symbol].time == series.time).all(), symbol
        for name in FIELDS:
            assert getattr(found[symbol], name) == pytest.approx(getattr(series, name), rel=1e-12), symbol


def _listed(source: DataSource, interval: Interval | None) -> tuple[tuple[str, ...], Interval] | None:
    # Days first: nearly every source has them.
    order = [Interval.DAY, *Interval] if interval is None else [interval]
    try:
        found = ((source.symbols(one), one) for one in order)
        return next((pair for pair in found if pair[0]), None)
    except ConfigError as error:
        pytest.skip(f"the source cannot be used with default options: {error}")
