"""Exchanges behind Yahoo-style symbols: their market, trading calendar and currency."""

from __future__ import annotations

import re
from dataclasses import dataclass

from marketgpt_core.symbols import Category


@dataclass(frozen=True)
class Exchange:
    """A place symbols are traded at.

    Attributes:
        name: Its market identifier code (ISO 10383), or ``24/7``, ``24/5`` for markets without a place.
        category: Market its plain symbols belong to.
        calendar: Name of the trading calendar; see :func:`marketgpt_core.calendars.trading_calendar`.
        currency: ISO 4217, or Yahoo's code of a hundredth (``GBp``, ``ZAc``, ``ILA``).
    """

    name: str
    category: Category
    calendar: str
    currency: str


def _rows(category: Category, table: str) -> dict[str, Exchange]:
    rows = (line.split() for line in table.strip().splitlines())
    return {
        suffix: Exchange(name, category, calendar, currency)
        for names, name, calendar, currency in rows
        for suffix in names.split(",")
    }


# https://help.yahoo.com/kb/SLN2310.html lists the suffixes of exchanges. Where no calendar of the exchange
# exists, its neighbour's stands in: the regional German floors keep Frankfurt's days.
_BY_SUFFIX = {
    **_rows(
        Category.EU,
        """
        AS XAMS XAMS EUR
        AT XATH ASEX EUR
        BR XBRU XBRU EUR
        CO XCSE XCSE DKK
        DE XETR XETR EUR
        BE,DU,F,HA,HM,MU,SG XFRA XFRA EUR
        HE XHEL XHEL EUR
        IC XICE XICE ISK
        IR XDUB XDUB EUR
        L,IL XLON XLON GBp
        LS XLIS XLIS EUR
        MC XMAD XMAD EUR
        MI XMIL XMIL EUR
        OL XOSL XOSL NOK
        PA XPAR XPAR EUR
        PR XPRA XPRA CZK
        RG XRIS XRIS EUR
        ST XSTO XSTO SEK
        SW XSWX XSWX CHF
        TL XTAL XTAL EUR
        VI XWBO XWBO EUR
        VS XLIT XLIT EUR
        """,
    ),
    **_rows(
        Category.EM,
        """
        BA XBUE XBUE ARS
        BD XBUD XBUD HUF
        BK XBKK XBKK THB
        BO XBOM XBOM INR
        NS XNSE XBOM INR
        IS XIST XIST TRY
        JK XIDX XIDX IDR
        JO XJSE XJSE ZAc
        KL XKLS XKLS MYR
        KS XKRX XKRX KRW
        KQ XKOS XKRX KRW
        ME XMOS XMOS RUB
        MX XMEX XMEX MXN
        PS XPHS XPHS PHP
        SA BVMF BVMF BRL
        SN XSGO XSGO CLP
        SR XSAU XSAU SAR
        SS XSHG XSHG CNY
        SZ XSHE XSHG CNY
        TW XTAI XTAI TWD
        TWO ROCO XTAI TWD
        WA XWAR XWAR PLN
        """,
    ),
    # Listed for their days; which market such a symbol counts to is the user's to say.
    **_rows(
        Category.UNKNOWN,
        """
        AX XASX XASX AUD
        HK XHKG XHKG HKD
        NZ XNZE XNZE NZD
        SI XSES XSES SGD
        T XTKS XTKS JPY
        TA XTAE XTAE ILA
        TO,V XTSE XTSE CAD
        """,
    ),
    # No calendar of these is published; gaps of their symbols are judged by weekdays.
    **_rows(
        Category.EM,
        """
        CA XCAI weekdays EGP
        CR BVCA weekdays VES
        QA DSMD weekdays QAR
        VN XSTC weekdays VND
        """,
    ),
}
NEW_YORK = Exchange("XNYS", Category.US, "XNYS", "USD")
_FUTURES = Exchange("CMES", Category.COMMODITY, "CMES", "USD")
_CURRENCIES = Exchange("24/5", Category.FX, "24/5", "USD")
_CRYPTO = Exchange("24/7", Category.CRYPTO, "24/7", "USD")
_UNKNOWN = Exchange("unknown", Category.UNKNOWN, "weekdays", "USD")
# Quote currencies only: BTC-USD is a pair, BRK-B a share class.
_CRYPTO_PAIR = re.compile(r"[A-Z0-9]{2,10}-(USD|USDT|USDC|EUR|GBP|JPY|BTC|ETH|PERP)")
# ICE Futures US: cocoa, cotton, orange juice, coffee, sugar; ICE Futures Europe: Brent.
_ICE = frozenset({"CC=F", "CT=F", "OJ=F", "KC=F", "SB=F", "BZ=F"})
_INDICES = {
    "XAMS": "^AEX",
    "XBOM": "^BSESN ^NSEI",
    "XETR": "^GDAXI ^MDAXI ^STOXX50E",
    "XHKG": "^HSI",
    "XJSE": "^J203.JO",
    "XKRX": "^KS11",
    "XLON": "^FTSE",
    "XMAD": "^IBEX",
    "XMEX": "^MXX",
    "XPAR": "^FCHI",
    "XSWX": "^SSMI",
    "XTAI": "^TWII",
    "XTKS": "^N225",
    "BVMF": "^BVSP",
}
_INDEX_CALENDAR = {symbol: calendar for calendar, symbols in _INDICES.items() for symbol in symbols.split()}
_BY_CATEGORY = {
    Category.US: NEW_YORK,
    Category.ETF: NEW_YORK,
    Category.CRYPTO: _CRYPTO,
    Category.COMMODITY: _FUTURES,
    Category.FX: _CURRENCIES,
}


def exchange_of(symbol: str, category: Category = Category.UNKNOWN) -> Exchange:
    """Return where a Yahoo-style symbol is traded, as its shape says.

    ``^GSPC`` index, ``EURUSD=X`` fx, ``GC=F`` commodity, ``BTC-USD`` crypto, ``SAP.DE`` eu, ``TCS.NS`` em.

    Args:
        symbol: The symbol.
        category: Decides for a symbol without a mark, such as ``AAPL``.
    """
    if symbol.startswith("^"):
        return Exchange("index", Category.INDEX, _INDEX_CALENDAR.get(symbol, "XNYS"), "USD")
    if symbol.endswith("=X"):
        return _CURRENCIES
    if symbol.endswith("=F"):
        return Exchange("IEPA", Category.COMMODITY, "IEPA", "USD") if symbol in _ICE else _FUTURES
    if _CRYPTO_PAIR.fullmatch(symbol):
        return _CRYPTO
    _, dot, suffix = symbol.rpartition(".")
    if dot and suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    return _BY_CATEGORY.get(category, _UNKNOWN)


def guess_category(symbol: str, *, plain: Category = Category.UNKNOWN) -> Category:
    """Return the category a Yahoo-style symbol's shape says.

    Args:
        symbol: The symbol.
        plain: For a symbol without a mark, such as ``AAPL``.
    """
    found = exchange_of(symbol).category
    return plain if found is Category.UNKNOWN and "." not in symbol else found
