from __future__ import annotations

import pytest

from marketgpt_core.config import Config
from marketgpt_core.errors import ConfigError, DataError, FetchError, FetchReason, PluginError
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_signals.candle_source import fetch_candles, fetch_what_there_is


class Folder:
    """A data source as the core's registry gives it."""

    location_field = "place"

    class Config(Config):
        place: str = "nowhere"

    def __init__(self, config: Config) -> None:
        self.config = config

    def symbols(self, interval):
        return () if self.config.place == "secretive" else ("AAA", "BBB")

    def fetch(self, symbols, *, start, end, interval):
        assert (start, end, interval) == (None, None, Interval.DAY)
        for symbol, reason in (("GONE", FetchReason.DELISTED), ("BUSY", FetchReason.THROTTLED)):
            if symbol in symbols:
                raise FetchError(f"not {symbol}", reason=reason)
        if unknown := set(symbols) - {"AAA", "BBB"}:
            raise DataError(f"unknown symbol {unknown} in {self.config.place}")
        return make_candles(symbols, num_candles=5)


class Sample(Folder):
    location_field = None


class Sources:
    def load(self, name):
        if name not in {"folder", "sample"}:
            raise PluginError(f"unknown data-source {name!r}")
        return Folder if name == "folder" else Sample

    def create(self, name, options, *, where):
        cls = self.load(name)
        return cls(cls.Config(**options))


@pytest.fixture(autouse=True)
def sources(monkeypatch):
    monkeypatch.setattr("marketgpt_core.sources.registry", lambda kind: {"data-source": Sources()}[kind])


def test_the_text_after_the_colon_is_the_sources_location():
    assert fetch_candles("folder:here", ["AAA"], Interval.DAY).symbols == ("AAA",)
    with pytest.raises(DataError, match="in /a:b/c"):
        fetch_candles("folder:/a:b/c", ["CCC"], Interval.DAY)
    with pytest.raises(DataError, match="in nowhere"):
        fetch_candles("folder", ["CCC"], Interval.DAY)
    assert fetch_candles("sample", ["BBB"], Interval.DAY).symbols == ("BBB",)


def test_a_source_without_locations_refuses_one():
    with pytest.raises(ConfigError, match="source 'sample' takes no location, got 'x': write sample"):
        fetch_candles("sample:x", ["AAA"], Interval.DAY)
    with pytest.raises(PluginError, match="unknown data-source 'smple'"):
        fetch_candles("smple", ["AAA"], Interval.DAY)


def test_symbols_the_source_lacks_are_told_and_take_no_other_with_them():
    candles, gone, unreached = fetch_what_there_is("sample", ["AAA", "CCC"], Interval.DAY)
    assert (candles.symbols, gone, unreached) == (("AAA",), {"CCC": "sample does not have it"}, {})
    candles, gone, _ = fetch_what_there_is("sample", ["CCC"], Interval.DAY)
    assert (candles.symbols, list(gone)) == ((), ["CCC"])
    # A source that cannot list its symbols is asked for each.
    asked = ["AAA", "GONE", "BBB", "BUSY"]
    candles, gone, unreached = fetch_what_there_is("folder:secretive", asked, Interval.DAY)
    assert (candles.symbols, gone) == (("AAA", "BBB"), {"GONE": "delisted: not GONE"})
    assert unreached == {"BUSY": "throttled: not BUSY"}
    # What is wrong with the place, and not with a symbol, is still refused.
    with pytest.raises(DataError, match="unknown symbol"):
        fetch_what_there_is("folder:secretive", ["AAA", "CCC"], Interval.DAY)
