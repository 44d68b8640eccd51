import numpy as np
import pandas as pd
import pytest

from marketgpt_core.errors import DataError, RunError
from marketgpt_core.forecast import Forecaster as ForecasterProtocol
from marketgpt_models import Forecaster, load_forecaster


def test_a_frame_gives_what_candles_give(run_folder, candles):
    forecaster = Forecaster.from_pretrained(run_folder, num_passes=1, mix="heads")
    assert isinstance(forecaster, ForecasterProtocol)
    from_candles = forecaster.forecast(candles, horizons=(1, 3))
    frame = candles.to_frame()
    from_frame = forecaster.forecast(frame, horizons=(1, 3))
    assert from_frame.symbols == from_candles.symbols
    np.testing.assert_array_equal(from_frame.quantiles, from_candles.quantiles)
    inner = load_forecaster(run_folder, num_passes=1, mix="heads").forecast(candles, horizons=(1, 3))
    np.testing.assert_array_equal(inner.quantiles, from_candles.quantiles)
    assert forecaster.model_id == inner.model_id


def test_predict_is_a_table(run_folder, candles):
    table = Forecaster.from_pretrained(run_folder, num_passes=1).predict(
        candles, horizons=(1, 3), symbols=["AAA"], num_samples=20
    )
    assert table["symbol"].tolist() == ["AAA", "AAA"]
    assert table["horizon"].tolist() == [1, 3]


def test_no_run_and_no_candles_are_refused(run_folder, tmp_path):
    with pytest.raises(RunError, match="no such folder"):
        Forecaster.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(DataError):
        Forecaster.from_pretrained(run_folder).forecast(pd.DataFrame({"x": [1.0]}))
