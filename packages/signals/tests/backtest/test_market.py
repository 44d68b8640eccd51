from __future__ import annotations

import pytest

from marketgpt_core import universe
from marketgpt_core.errors import PluginError
from marketgpt_signals.backtest import market


@pytest.mark.parametrize(
    ("symbols", "benchmarks"),
    [
        (["SPY", "QQQ", "GLD"], ("SPY", "QQQ", "GLD")),  # each is its own
        (["XOM", "KO"], ("SPY",)),
        (["SAP.DE", "BTC-USD", "ETH-USD"], ("VGK", "BTC-USD")),
        (["CL=F"], ("GLD",)),
        (["EURUSD=X", "^GSPC"], ()),  # nothing a currency or an index is held against
        (["ZZZZ"], ("SPY",)),  # in no universe: by its shape
    ],
)
def test_a_market_has_its_benchmark(symbols, benchmarks):
    assert market.benchmarks_of(symbols) == benchmarks


def test_without_universes_the_shape_of_a_symbol_decides(monkeypatch):
    def registry(kind):
        raise PluginError("no package that provides the kind 'universe' is installed")

    monkeypatch.setattr(universe, "registry", registry)
    assert market.benchmarks_of(["QQQ", "BTC-USD", "SAP.DE"]) == ("SPY", "BTC-USD", "VGK")
