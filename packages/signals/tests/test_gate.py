from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_forecast
from marketgpt_signals.registry import strategies
from marketgpt_signals.testing import CREATED_AT

SURE = make_forecast(["AAA", "BBB"], as_of=["2016-01-04"], horizons=[5], drift=0.01)
STRANGE = replace(SURE, caveats=("", "BBB was not in training"))


def sides(name: str, forecast: Forecast, **options: object) -> list[Side]:
    return [s.side for s in strategies().create(name, options).signals(forecast, created_at=CREATED_AT)]


@pytest.mark.parametrize("name", ["threshold", "kelly", "consensus", "volatility_target"])
def test_nothing_is_said_of_what_the_model_never_saw(name):
    assert sides(name, SURE) == [Side.LONG, Side.LONG]
    assert sides(name, STRANGE) == [Side.LONG, Side.FLAT]
    assert sides(name, STRANGE, allow_caveats=True) == [Side.LONG, Side.LONG]


def test_the_reason_is_the_caveat():
    made = strategies().create("threshold").signals(STRANGE, created_at=CREATED_AT)
    assert made[1].reason == "the model does not know: BBB was not in training"


def test_a_closed_gate_keeps_a_row_out_of_the_ranking():
    symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"]
    plain = make_forecast(symbols, as_of=["2016-01-04"], horizons=[5])
    tilt = pd.Series([0.1, 0.05, 0.0, -0.05, -0.1]).to_numpy()
    forecast = replace(plain, quantiles=plain.quantiles + tilt[:, None, None])
    assert sides("rank", forecast) == [Side.LONG, Side.FLAT, Side.FLAT, Side.FLAT, Side.SHORT]
    closed = replace(forecast, caveats=("never seen", "", "", "", ""))
    assert sides("rank", closed) == [Side.FLAT, Side.LONG, Side.FLAT, Side.FLAT, Side.SHORT]


def test_caveats_travel_with_the_forecast(tmp_path):
    path = tmp_path / "f.parquet"
    STRANGE.to_frame().to_parquet(path)
    assert Forecast.from_frame(pd.read_parquet(path)).caveats == STRANGE.caveats
    assert STRANGE.of("BBB").caveats == ("BBB was not in training",)
    SURE.to_frame().to_parquet(path)
    assert Forecast.from_frame(pd.read_parquet(path)).caveats == ()
