from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_forecast
from marketgpt_signals.forecasts import read_forecasts


def test_a_forecast_comes_back(tmp_path):
    forecast = make_forecast()
    forecast.to_frame().to_parquet(tmp_path / "f.parquet")
    (back,) = read_forecasts(tmp_path / "f.parquet")
    assert back.symbols == forecast.symbols
    np.testing.assert_array_equal(back.quantiles, forecast.quantiles)
    assert back.model_id == "random-walk"


def test_two_models_in_one_table_are_two_forecasts(tmp_path):
    one, other = make_forecast().to_frame(), make_forecast(seed=1).to_frame().assign(model_id="second")
    pd.concat([one, other]).to_parquet(tmp_path / "f.parquet")
    assert [f.model_id for f in read_forecasts(tmp_path / "f.parquet")] == ["random-walk", "second"]


def test_what_is_no_table_of_forecasts_is_named(tmp_path):
    path = tmp_path / "f.parquet"
    with pytest.raises(DataError, match=r"cannot read .*f\.parquet: no such file"):
        read_forecasts(path)
    path.write_text("no parquet")
    with pytest.raises(DataError, match=r"f\.parquet is not a Parquet table of forecasts"):
        read_forecasts(path)
    make_forecast().to_frame().drop(columns="p_up").to_parquet(path)
    with pytest.raises(DataError, match=r"f\.parquet: not a forecast table: it lacks p_up"):
        read_forecasts(path)
    make_forecast().to_frame().iloc[:0].to_parquet(path)
    with pytest.raises(DataError, match=r"f\.parquet: the forecast table is empty"):
        read_forecasts(path)
    make_forecast().to_frame().assign(p_up="high").to_parquet(path)
    with pytest.raises(DataError, match=r"f\.parquet"):
        read_forecasts(path)
    make_forecast().to_frame().assign(as_of=5).to_parquet(path)
    with pytest.raises(DataError, match=r"f\.parquet"):
        read_forecasts(path)
    make_forecast().to_frame().assign(p_up=7.0).to_parquet(path)
    with pytest.raises(DataError, match=r"f\.parquet: forecast.p_up must lie in \[0, 1\]"):
        read_forecasts(path)
    with pytest.raises(DataError, match="cannot read"):
        read_forecasts(tmp_path)
