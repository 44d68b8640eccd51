"""The private evaluation data beside the checkout, where there is any: see its README."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import load_candles, open_source

PLACES = [folder / "shared" / "data" for folder in Path(__file__).parents]
SHARED = next((place for place in PLACES if place.is_dir()), PLACES[0])

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no private evaluation data in ../shared/data")


def test_has_all_daily_universes_and_their_categories() -> None:
    source = open_source(f"parquet:{SHARED}")
    assert len(source.symbols()) == 700
    chosen = ["ADBE", "SPY", "BTC-USD", "ADANIPORTS.NS"]
    found = source.fetch(chosen, start="2016-01-04", end="2016-01-09")
    assert [found[symbol].category for symbol in chosen] == [
        Category.US,
        Category.ETF,
        Category.CRYPTO,
        Category.EM,
    ]
    assert [len(found[symbol]) for symbol in chosen] == [5, 5, 5, 5]


def test_intraday_is_apart_from_days() -> None:
    hours = load_candles(f"parquet:{SHARED}", ["EURUSD"], end="2017-01-03", interval=Interval.HOUR)
    assert hours["EURUSD"].category is Category.FX
    with pytest.raises(DataError, match=r"EURUSD in .* has no candles at 1d; it has 1h"):
        load_candles(f"parquet:{SHARED}", ["EURUSD"])


def test_the_list_of_symbols_is_not_candles() -> None:
    with pytest.raises(DataError, match=r"passed over: SYMBOLS\.csv"):
        load_candles(f"csv:{SHARED}")


@pytest.mark.slow
def test_everything_loads() -> None:
    assert load_candles(f"parquet:{SHARED}").num_candles == 3_125_721
