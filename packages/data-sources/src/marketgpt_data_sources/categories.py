"""The market a symbol belongs to, guessed from the shape Yahoo gives it."""

from __future__ import annotations

import re

from marketgpt_core.symbols import Category

# https://help.yahoo.com/kb/SLN2310.html lists the suffixes of exchanges.
_EXCHANGES = {
    Category.EU: "AS AT BE BR CO DE DU F HA HE HM IC IL IR L LS MC MI MU OL PA PR RG SG ST SW TL VI VS",
    Category.EM: "BA BD BK BO CA CR IS JK JO KL KQ KS ME MX NS PS QA SA SN SR SS SZ TW TWO VN WA",
}
_BY_SUFFIX = {suffix: category for category, suffixes in _EXCHANGES.items() for suffix in suffixes.split()}
_BY_ENDING = {"=X": Category.FX, "=F": Category.COMMODITY}
# Quote currencies only: BTC-USD is a pair, BRK-B a share class.
_CRYPTO_PAIR = re.compile(r"[A-Z0-9]{2,10}-(USD|USDT|USDC|EUR|GBP|JPY|BTC|ETH|PERP)")


def guess_category(symbol: str, *, plain: Category = Category.UNKNOWN) -> Category:
    """Return the category a Yahoo-style symbol's shape says.

    ``^GSPC`` index, ``EURUSD=X`` fx, ``GC=F`` commodity, ``BTC-USD`` crypto, ``SAP.DE`` eu, ``TCS.NS`` em.

    Args:
        symbol: The symbol.
        plain: For a symbol without a mark, such as ``AAPL``.
    """
    if symbol.startswith("^"):
        return Category.INDEX
    if symbol[-2:] in _BY_ENDING:
        return _BY_ENDING[symbol[-2:]]
    if _CRYPTO_PAIR.fullmatch(symbol):
        return Category.CRYPTO
    _, dot, suffix = symbol.rpartition(".")
    return _BY_SUFFIX.get(suffix, Category.UNKNOWN) if dot else plain
