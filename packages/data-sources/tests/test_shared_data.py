"""The private evaluation data beside the checkout, where there is any: what it holds, and its known warts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import QualityReport, load_candles, open_source, verify

PLACES = [folder / "shared" / "data" for folder in Path(__file__).parents]
SHARED = next((place for place in PLACES if place.is_dir()), PLACES[0])
NOW = datetime(2026, 11, 22, tzinfo=UTC)

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


@pytest.fixture(scope="module")
def daily() -> QualityReport:
    source = open_source(f"parquet:{SHARED}")
    started = time.process_time()
    report = verify(source, now=NOW)
    spent_s = time.process_time() - started
    print(
        f"verify: {report.num_rows:,} candles of {report.num_symbols} symbols in {spent_s:.1f} s of one core"
    )
    assert spent_s < 30  # 5 s on an idle machine
    return report


def _faults(report: QualityReport, check: str) -> dict[str, int]:
    return {issue.symbol: issue.count for issue in report.of(check)}


@pytest.mark.slow
def test_no_row_is_bad_and_what_is_told_is_known(daily: QualityReport) -> None:
    """Nothing is refused or put aside: no impossible candle, copy, spike or disorder in 3.1 million."""
    assert (daily.num_symbols, daily.num_rows, daily.weekdays_only) == (700, 3_125_721, ())
    assert [(row["check"], row["symbols"], row["rows"]) for row in daily.summary()] == [
        ("split", 3, 5),
        ("jump", 2, 2),
        ("off-session", 93, 43),
        ("gap", 417, 6_400),
    ]


@pytest.mark.slow
def test_jumps_are_errors_of_the_vendors(daily: QualityReport) -> None:
    """Each was looked at; two hundred real moves by a factor of 1.3 overnight are not there.

    RWE.DE: 2001-03-14 alone, and all from 2001-04-30 on, lie at two thirds of the days before.
    GGP: up 29 % on 2010-08-23 with the volume and the range of any other day.
    VRX: 2.66 times as high from 2010-08-23 to 2010-09-27: another company's prices, before a merger.
    JCI: 0.46 on 2007-07-02, when Tyco gave away two of its businesses: not adjusted.
    Reverse splits of leveraged ETFs are adjusted, all of them.
    """
    found = {
        (i.check, i.symbol): [j["at"] for j in i.details["jumps"]]
        for i in daily.issues
        if "jumps" in i.details
    }
    assert found == {
        ("split", "RWE.DE"): ["2001-03-14", "2001-03-15", "2001-04-30"],
        ("split", "GGP"): ["2010-08-23"],
        ("split", "VRX"): ["2010-09-28"],
        ("jump", "VRX"): ["2010-08-23"],
        ("jump", "JCI"): ["2007-07-02"],
    }


@pytest.mark.slow
def test_candles_on_holidays(daily: QualityReport) -> None:
    """All symbols, with prices of their own: the calendar errs. One, a copy: the vendor filled a holiday.

    Bombay's calendar rests on 2001-01-01 and 2004-01-01, and for Muharram a day early in 2013 (the day
    after is missing for all 83). Manila's 8 December is a holiday by law from 2018 on only.
    The three Indian symbols, ^N225 and the two of Paris repeat the day before without volume.
    CL=F has electronic trading on days without a settlement; URW.AS trades on two days Amsterdam rests.
    """
    common = {
        i.details["calendar"]: i.details["days"] for i in daily.of("off-session") if "days" in i.details
    }
    assert common == {"XBOM": ["2001-01-01", "2004-01-01", "2013-11-14"], "XPHS": ["2017-12-08"]}
    assert _faults(daily, "off-session") == {
        "XBOM (83 symbols)": 3,
        "XPHS (5 symbols)": 1,
        "HCLTECH.NS": 14,
        "HINDALCO.NS": 10,
        "PNB.NS": 7,
        "CL=F": 3,
        "URW.AS": 2,
        "ACA.PA": 1,
        "ENGI.PA": 1,
        "^N225": 1,
    }


@pytest.mark.slow
def test_gaps_that_a_whole_exchange_shares(daily: QualityReport) -> None:
    """One issue a calendar instead of one a symbol: evenings of Muhurat, half days, days a vendor lost."""
    shared = {i.details["calendar"]: i.details["days"] for i in daily.of("gap") if "days" in i.details}
    assert {name: len(days) for name, days in shared.items()} == {
        "24/5": 8,  # single days Yahoo lost for every currency
        "XBOM": 14,  # Muhurat evenings of Diwali; the last days of 2009
        "XETR": 19,  # half of October 2000; 3 October, a holiday of others
        "XPAR": 8,  # half days before Christmas and New Year of 2010, 2012 and 2015
        "XPHS": 1,
    }
    assert shared["XPHS"] == ["2020-01-13"]  # the volcano Taal
    assert {"2010-11-05", "2011-10-26", "2012-11-13"} <= set(shared["XBOM"])  # Diwali
    assert {"2010-12-24", "2010-12-31", "2012-12-24", "2012-12-31"} <= set(shared["XPAR"])


@pytest.mark.slow
def test_the_longest_gaps(daily: QualityReport) -> None:
    """The README's 59-day gap first: TEL.PS from 2010-07-23 to 2010-09-20.

    Young ETFs and small caps of the early nineties went days without a trade (AGNG, BNDC, ODFL); the others
    are holes of their vendors: currencies in August 2008, BAYN.DE, TTWO, UPL.NS.
    """
    own = [issue for issue in daily.of("gap") if "longest" in issue.details]
    longest = [
        (i.symbol, i.details["longest"], i.details["longest_from"]) for i in own if i.details["longest"] > 14
    ]
    assert longest == [
        ("TEL.PS", 38, "2010-07-26"),
        ("BMVP", 36, "2003-08-15"),
        ("UPL.NS", 34, "2003-12-05"),
        ("AGNG", 31, "2016-06-22"),
        ("BAYN.DE", 24, "2009-08-18"),
        ("BNDC", 18, "2017-04-03"),
        ("PHP=X", 17, "2008-08-01"),
        ("EURHUF=X", 17, "2008-08-01"),
        ("TTWO", 17, "2002-01-23"),
        ("EURSEK=X", 17, "2008-08-01"),
        ("EURCAD=X", 17, "2008-08-01"),
        ("EURJPY=X", 17, "2008-08-01"),
        ("AGGY", 15, "2015-08-06"),
    ]
    most = sorted(own, key=lambda issue: -issue.count)[:5]
    assert [(i.symbol, i.count) for i in most] == [
        ("ODFL", 596),
        ("SI=F", 384),
        ("PHP=X", 336),
        ("BNDC", 259),
        ("SWKS", 238),
    ]
    # Half of the symbols lack no session, or none but those their exchange shares.
    assert len(own) == 351
    assert sum(issue.count == 1 for issue in own) == 138


@pytest.mark.parametrize(
    ("interval", "num_rows", "expected"),
    [
        # Fifteen hours without a trade, filled with the last price.
        (Interval.HOUR, 19_047, {("stale", "BTCUSD"): 15}),
        (
            Interval.FIVE_MINUTES,
            37_392,
            {("missing-bars", "ADA-BTC"): 40, ("missing-bars", "XRP-ETH"): 3, ("missing-bars", "TRX-BTC"): 2},
        ),
        (Interval.MINUTE, 60_119, {("missing-bars", "GBPUSD"): 105}),  # minutes without a quote
    ],
)
def test_intraday_warts(interval: Interval, num_rows: int, expected: dict[tuple[str, str], int]) -> None:
    """Currencies' weeks from Sunday 17:00 in New York are no fault; holes inside them are."""
    report = verify(open_source(f"parquet:{SHARED}"), interval=interval, now=NOW)
    assert report.num_rows == num_rows
    assert {(issue.check, issue.symbol): issue.count for issue in report.issues} == expected
