from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.symbols import Category
from marketgpt_core.universe import Instrument, Universe

APPLE = Instrument("AAPL", Category.US, "XNAS", "USD", "XNYS")
SAP = Instrument("SAP.DE", Category.EU, "XETR", "EUR", "XETR")
BITCOIN = Instrument("BTC-USD", Category.CRYPTO, "24/7", "USD", "24/7")
MIXED = Universe("mixed", "Three.", (SAP, APPLE, BITCOIN), "SPY", date(2026, 11, 22), "Survivors.")


def test_a_universe_keeps_its_order() -> None:
    assert len(MIXED) == 3
    assert MIXED.symbols == ("SAP.DE", "AAPL", "BTC-USD")
    assert MIXED.calendars == {"SAP.DE": "XETR", "AAPL": "XNYS", "BTC-USD": "24/7"}
    assert MIXED.categories["BTC-USD"] is Category.CRYPTO


def test_select_keeps_everything_else() -> None:
    part = MIXED.select([Category.CRYPTO, Category.EU])
    assert part == replace(MIXED, instruments=(SAP, BITCOIN))
    assert MIXED.select([Category.FX]).symbols == ()


def test_an_instrument_from_the_shape_of_its_symbol() -> None:
    assert Instrument.of("SAP.DE", Category.EU) == SAP
    assert Instrument.of("GLD", Category.COMMODITY) == Instrument(
        "GLD", Category.COMMODITY, "XNYS", "USD", "XNYS"
    )
    # Whether Hong Kong's shares are an emerging market the list says, not the suffix.
    assert Instrument.of("0700.HK", Category.EM) == Instrument("0700.HK", Category.EM, "XHKG", "HKD", "XHKG")


@pytest.mark.parametrize(
    ("benchmark", "added"),
    [
        (None, ()),
        ("AAPL", ()),
        ("SPY", (Instrument("SPY", Category.ETF, "XNYS", "USD", "XNYS"),)),
        ("^STOXX", (Instrument("^STOXX", Category.INDEX, "index", "EUR", "XETR"),)),
        ("ETH-USD", (Instrument("ETH-USD", Category.CRYPTO, "24/7", "USD", "24/7"),)),
    ],
)
def test_with_benchmark(benchmark: str | None, added: tuple[Instrument, ...]) -> None:
    universe = replace(MIXED, benchmark=benchmark)
    assert universe.with_benchmark().instruments == (*MIXED.instruments, *added)
    assert universe.with_benchmark().benchmark == benchmark


def test_a_symbol_named_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r"^universe mixed names AAPL twice$"):
        replace(MIXED, instruments=(APPLE, SAP, APPLE))


@pytest.mark.parametrize("hostile", ["../../x", "a;b", "", "x" * 33, "\u0410APL"])
def test_a_hostile_symbol_is_refused(hostile: str) -> None:
    with pytest.raises(DataError, match=r"is not a symbol .from universe mixed"):
        replace(MIXED, instruments=(replace(APPLE, symbol=hostile),))
    with pytest.raises(DataError, match=r"is not a symbol .from benchmark of universe mixed"):
        replace(MIXED, benchmark=hostile)
