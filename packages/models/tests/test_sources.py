import pytest

from marketgpt_core import ConfigError, DataError, Interval, PluginError, registries
from marketgpt_models.sources import fetch_candles

pytestmark = pytest.mark.skipif(
    "data-source" not in registries(), reason="marketgpt-data-sources is not installed"
)


def fetch(source, *symbols):
    return fetch_candles(source, symbols, interval=Interval.DAY)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("sampel", PluginError, "did you mean 'sample'"),
        ("sample:here", ConfigError, "takes no location"),
        ("parquet:", ConfigError, "empty location"),
        ("parquet:/nowhere", DataError, "/nowhere"),
    ],
)
def test_mistakes_are_named(source, error, message):
    with pytest.raises(error, match=message):
        fetch(source)


def test_candles_come_before_the_end():
    candles = fetch_candles("synthetic:garch_t", (), interval=Interval.DAY)
    cut = fetch_candles("synthetic:garch_t", (), interval=Interval.DAY, end=candles.end)
    assert candles.num_candles > cut.num_candles > 0
    assert cut.end < candles.end
