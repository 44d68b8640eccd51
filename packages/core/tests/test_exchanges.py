from __future__ import annotations

import pytest

from marketgpt_core.exchanges import guess_category
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
