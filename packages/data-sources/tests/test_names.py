from __future__ import annotations

import pytest

from marketgpt_core.errors import DataError
from marketgpt_data_sources.names import FileName, read_file_name, symbol_of


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("AAPL", "AAPL"),
        ("aapl", "aapl"),
        ("BTC/USDT", "BTC-USDT"),
        ("aapl.us", "AAPL"),
        ("BRK-B.US", "BRK-B"),
        ("4IG.HU", "4IG.HU"),
        ("SAP.DE", "SAP.DE"),
    ],
)
def test_symbols_of_vendors(text: str, symbol: str) -> None:
    assert symbol_of(text) == symbol


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("AAPL", ("AAPL", None, None)),
        ("aapl.us", ("AAPL", None, None)),
        ("^GSPC", ("^GSPC", None, None)),
        ("SAP.DE", ("SAP.DE", None, None)),
        ("BTC-USD_1h", ("BTC-USD", "1h", None)),
        ("BTC-USD.1h", ("BTC-USD", "1h", None)),
        ("EURUSD=X-5m", ("EURUSD=X", "5m", None)),
        ("BTCUSDT-1h-2024-01", ("BTCUSDT", "1h", "2024-01")),
        ("BTCUSDT-1d-2024-01-31", ("BTCUSDT", "1d", "2024-01-31")),
        ("XBTUSD_1440", ("XBTUSD", None, None)),
        ("AAPL_2", ("AAPL_2", None, None)),
    ],
)
def test_file_names(stem: str, expected: tuple[str, str | None, str | None]) -> None:
    assert read_file_name(stem, where="file") == FileName(*expected)


@pytest.mark.parametrize(
    "stem", ["my prices", "", "a\nb", "..", "../../x", "x" * 10_000, "\uff21\uff21\uff30\uff2c", "A\0"]
)
def test_names_that_are_no_symbols_are_refused(stem: str) -> None:
    with pytest.raises(DataError, match=r"is not a symbol .*from folder") as refused:
        read_file_name(stem, where="folder")
    assert len(str(refused.value)) < 300
