from __future__ import annotations

import exchange_calendars
import pytest

from marketgpt_core.exchanges import CALENDARS, Exchange, exchange_of, guess_category
from marketgpt_core.symbols import Category


@pytest.mark.parametrize(
    ("symbol", "category"),
    [
        ("^GSPC", Category.INDEX),
        ("EURUSD=X", Category.FX),
        ("GC=F", Category.COMMODITY),
        ("BTC-USD", Category.CRYPTO),
        ("XRP-ETH", Category.CRYPTO),
        ("BRK-B", Category.UNKNOWN),
        ("SAP.DE", Category.EU),
        ("TCS.NS", Category.EM),
        ("7203.T", Category.UNKNOWN),
        ("AAPL", Category.UNKNOWN),
    ],
)
def test_category_of_a_shape(symbol: str, category: Category) -> None:
    assert guess_category(symbol) is category


def test_a_plain_symbol_is_what_the_caller_says() -> None:
    assert guess_category("AAPL", plain=Category.US) is Category.US
    assert guess_category("BRK-B", plain=Category.US) is Category.US
    assert guess_category("7203.T", plain=Category.US) is Category.UNKNOWN


@pytest.mark.parametrize(
    ("symbol", "exchange"),
    [
        # Yahoo's Brent is New York's financially settled contract, not London's.
        ("BZ=F", Exchange("XNYM", Category.COMMODITY, "CMES", "USD")),
        ("GC=F", Exchange("XCEC", Category.COMMODITY, "CMES", "USD")),
        ("ZW=F", Exchange("XCBT", Category.COMMODITY, "CMES", "USD")),
        ("LE=F", Exchange("XCME", Category.COMMODITY, "CMES", "USD")),
        ("KC=F", Exchange("IFUS", Category.COMMODITY, "IEPA", "USD")),
        ("ES=F", Exchange("GLBX", Category.COMMODITY, "CMES", "USD")),
        ("CLZ26.NYM", Exchange("XNYM", Category.COMMODITY, "CMES", "USD")),
        ("BARC.L", Exchange("XLON", Category.EU, "XLON", "GBp")),
        ("SMSN.IL", Exchange("XLON", Category.EU, "XLON", "USD")),
        ("SAP.MU", Exchange("XMUN", Category.EU, "XFRA", "EUR")),
        ("CEZ.PR", Exchange("XPRA", Category.EM, "XPRA", "CZK")),
        ("NPN.JO", Exchange("XJSE", Category.EM, "XJSE", "ZAc")),
        ("BTC-EUR", Exchange("24/7", Category.CRYPTO, "24/7", "EUR")),
        ("BTC-USDT", Exchange("24/7", Category.CRYPTO, "24/7", "USD")),
        ("XRP-ETH", Exchange("24/7", Category.CRYPTO, "24/7", "ETH")),
        ("UNI7083-USD", Exchange("24/7", Category.CRYPTO, "24/7", "USD")),
        ("EURGBP=X", Exchange("24/5", Category.FX, "24/5", "GBP")),
        ("JPY=X", Exchange("24/5", Category.FX, "24/5", "JPY")),
        ("^FTSE", Exchange("index", Category.INDEX, "XLON", "GBP")),
        ("^N225", Exchange("index", Category.INDEX, "XTKS", "JPY")),
        ("^GSPC", Exchange("index", Category.INDEX, "XNYS", "USD")),
    ],
)
def test_exchange_of_a_shape(symbol: str, exchange: Exchange) -> None:
    assert exchange_of(symbol) == exchange
    # The mark of a symbol wins over what somebody says of it.
    assert exchange_of(symbol, Category.US) == exchange


@pytest.mark.parametrize(
    ("category", "exchange"),
    [
        (Category.US, Exchange("XNYS", Category.US, "XNYS", "USD")),
        (Category.ETF, Exchange("XNYS", Category.ETF, "XNYS", "USD")),
        (Category.COMMODITY, Exchange("XNYS", Category.COMMODITY, "XNYS", "USD")),
        (Category.UNKNOWN, Exchange("unknown", Category.UNKNOWN, "weekdays", "USD")),
    ],
)
def test_a_plain_symbol_is_listed_in_the_us_where_its_category_says_so(
    category: Category, exchange: Exchange
) -> None:
    assert exchange_of("GLD", category) == exchange


def test_every_calendar_of_the_table_exists() -> None:
    """The names; that they build, the tests of calendars say."""
    known = {*exchange_calendars.get_calendar_names(include_aliases=False), "weekdays"}
    assert known >= CALENDARS
    assert {"XNYS", "XETR", "CMES", "IEPA", "24/7", "24/5", "weekdays"} <= CALENDARS
