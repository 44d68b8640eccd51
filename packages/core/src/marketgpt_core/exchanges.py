"""Exchanges behind Yahoo-style symbols: their market, trading calendar and currency."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from marketgpt_core.symbols import Category


@dataclass(frozen=True)
class Exchange:
    """A place symbols are traded at.

    Attributes:
        name: Its market identifier code (ISO 10383), or ``24/7``, ``24/5`` for markets without a place. Of a
            plain symbol such as ``AAPL``, which may trade at any exchange of the US, ``XNYS``.
        category: Market its symbols belong to.
        calendar: Name of the trading calendar; see :func:`marketgpt_core.calendars.trading_calendar`.
        currency: ISO 4217, Yahoo's code of a hundredth (``GBp``, ``ZAc``, ``ILA``), or the coin a pair of
            coins is quoted in.
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
# Prague, Budapest and Warsaw count to the emerging markets, as in MSCI's index that the fund EEM tracks.
_BY_SUFFIX = {
    **_rows(
        Category.EU,
        """
        AS XAMS XAMS EUR
        AT XATH ASEX EUR
        BR XBRU XBRU EUR
        CO XCSE XCSE DKK
        DE XETR XETR EUR
        BE XBER XFRA EUR
        BM XBRE XFRA EUR
        DU XDUS XFRA EUR
        F XFRA XFRA EUR
        HA XHAN XFRA EUR
        HM XHAM XFRA EUR
        MU XMUN XFRA EUR
        SG XSTU XFRA EUR
        HE XHEL XHEL EUR
        IC XICE XICE ISK
        IR XDUB XDUB EUR
        IL XLON XLON USD
        L XLON XLON GBp
        LS XLIS XLIS EUR
        MC XMAD XMAD EUR
        MI XMIL XMIL EUR
        OL XOSL XOSL NOK
        PA XPAR XPAR EUR
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
        PR XPRA XPRA CZK
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
    # A contract of one month: CLZ26.NYM.
    **_rows(
        Category.COMMODITY,
        """
        CBT XCBT CMES USD
        CME XCME CMES USD
        CMX XCEC CMES USD
        NYB IFUS IEPA USD
        NYM XNYM CMES USD
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
# Continuous futures, by the exchange's Yahoo suffix. Of others ("ES=F") only the group of exchanges is known.
_FUTURES = {
    f"{root}=F": _BY_SUFFIX[suffix]
    for suffix, roots in {
        "CBT": "KE ZB ZC ZF ZL ZM ZN ZO ZR ZS ZT ZW",
        "CME": "DC GF HE LBR LE",
        "CMX": "ALI GC HG MGC SI SIL",
        "NYB": "CC CT KC OJ SB",
        "NYM": "B0 BZ CL HO NG PA PL RB",
    }.items()
    for root in roots.split()
}
_OTHER_FUTURES = Exchange("GLBX", Category.COMMODITY, "CMES", "USD")
_CURRENCIES = Exchange("24/5", Category.FX, "24/5", "USD")
_CRYPTO = Exchange("24/7", Category.CRYPTO, "24/7", "USD")
_UNKNOWN = Exchange("unknown", Category.UNKNOWN, "weekdays", "USD")
# Quote currencies only: BTC-USD is a pair, BRK-B a share class.
_CRYPTO_PAIR = re.compile(r"[A-Z0-9]{2,10}-(USD|USDT|USDC|EUR|GBP|JPY|BTC|ETH|PERP)")
_DOLLARS = frozenset({"USDT", "USDC", "PERP"})
_CURRENCY_PAIR = re.compile(r"(?:[A-Z]{3})?([A-Z]{3})=X")
# By the suffix of the shares it is made of.
_INDICES = {
    "AS": "^AEX",
    "AX": "^AXJO",
    "BO": "^BSESN",
    "DE": "^GDAXI ^MDAXI ^STOXX ^STOXX50E",
    "HK": "^HSI",
    "JK": "^JKSE",
    "JO": "^J203.JO",
    "KL": "^KLSE",
    "KS": "^KS11",
    "L": "^FTSE",
    "MC": "^IBEX",
    "MX": "^MXX",
    "NS": "^NSEI",
    "PA": "^FCHI",
    "SA": "^BVSP",
    "ST": "^OMX",
    "SW": "^SSMI",
    "T": "^N225",
    "TO": "^GSPTSE",
    "TW": "^TWII",
}
_INDEX_HOME = {
    symbol: _BY_SUFFIX[suffix] for suffix, symbols in _INDICES.items() for symbol in symbols.split()
}
# An index is reckoned in the whole unit.
_WHOLE = {"GBp": "GBP", "ZAc": "ZAR", "ILA": "ILS"}
_BY_CATEGORY = {
    Category.US: NEW_YORK,
    Category.ETF: replace(NEW_YORK, category=Category.ETF),
    Category.CRYPTO: _CRYPTO,
    # A plain symbol is no future: the fund GLD, quoted in New York.
    Category.COMMODITY: replace(NEW_YORK, category=Category.COMMODITY),
    Category.FX: _CURRENCIES,
}
CALENDARS = frozenset(
    one.calendar for one in (*_BY_SUFFIX.values(), NEW_YORK, _CRYPTO, _CURRENCIES, _OTHER_FUTURES, _UNKNOWN)
)
"""Names of the calendars the exchanges here keep."""


def exchange_of(symbol: str, category: Category = Category.UNKNOWN) -> Exchange:
    """Return where a Yahoo-style symbol is traded, as its shape says.

    ``^GSPC`` index, ``EURUSD=X`` fx, ``GC=F`` commodity, ``BTC-USD`` crypto, ``SAP.DE`` eu, ``TCS.NS`` em.

    Args:
        symbol: The symbol.
        category: Decides for a symbol without a mark, such as ``AAPL``.
    """
    if symbol.startswith("^"):
        home = _INDEX_HOME.get(symbol, NEW_YORK)
        return Exchange("index", Category.INDEX, home.calendar, _WHOLE.get(home.currency, home.currency))
    if symbol.endswith("=X"):
        pair = _CURRENCY_PAIR.fullmatch(symbol)
        return replace(_CURRENCIES, currency=pair[1]) if pair else _CURRENCIES
    if symbol.endswith("=F"):
        return _FUTURES.get(symbol, _OTHER_FUTURES)
    if pair := _CRYPTO_PAIR.fullmatch(symbol):
        return replace(_CRYPTO, currency="USD" if pair[1] in _DOLLARS else pair[1])
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
