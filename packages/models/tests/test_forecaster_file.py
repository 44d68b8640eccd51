import json

import pytest

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.run import Run
from marketgpt_models import load_forecaster
from marketgpt_models.forecaster_file import read_forecaster_file, write_forecaster_file
from marketgpt_models.recalibration import Recalibration


def test_what_was_written_is_how_forecasts_are_made(run_folder, candles):
    plain = load_forecaster(run_folder, mix="heads", num_passes=1).forecast(candles, horizons=(1, 3))
    write_forecaster_file(
        run_folder, {"mix": "heads", "num_passes": 1}, Recalibration("heads", {"all": {1: 1.5, 3: 1.5}})
    )
    before = Run.open(run_folder).id
    Run.seal(run_folder, data_fingerprint="x")
    assert Run.open(run_folder).id != before
    wide = load_forecaster(run_folder).forecast(candles, horizons=(1, 3))
    away = [one.quantile(0.9) - one.quantile(0.5) for one in (wide, plain)]
    assert away[0] == pytest.approx(1.5 * away[1])
    # Of another mix nothing was fitted.
    other = load_forecaster(run_folder, mix="paths").forecast(candles, horizons=(1,), num_samples=40)
    raw = load_forecaster(run_folder, mix="paths", recalibrate=False)
    assert (other.quantiles == raw.forecast(candles, horizons=(1,), num_samples=40).quantiles).all()


def test_a_run_without_one_has_neither(run_folder):
    assert read_forecaster_file(Run.open(run_folder)) == ({}, None)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({"format": 2}, RunError, "has format 2"),
        ({"format": 1, "options": []}, RunError, "options must be an object"),
        ({"format": 1, "options": {}, "recalibration": []}, RunError, "holds no recalibration"),
        (
            {"format": 1, "options": {"mixx": "heads"}, "recalibration": {"mix": "heads", "spreads": {}}},
            ConfigError,
            "mixx",
        ),
    ],
)
def test_a_damaged_one_is_refused_in_one_line(run_folder, content, error, words):
    (run_folder / "forecaster.json").write_text(json.dumps(content), encoding="utf-8")
    Run.seal(run_folder, data_fingerprint="x")
    with pytest.raises(error, match=words) as caught:
        load_forecaster(run_folder)
    assert "\n" not in str(caught.value)
