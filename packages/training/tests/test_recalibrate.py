from __future__ import annotations

import json

import numpy as np
import pytest

from marketgpt_models import load_forecaster
from marketgpt_training.pipeline import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory, candles, tiny_values):
    from marketgpt_core.config import apply_overrides, load_config
    from marketgpt_training.config import TrainConfig

    overrides = ("evaluation.forecaster={mix='heads',num_passes=1}", "loop.max_epochs=1")
    config = load_config(TrainConfig, apply_overrides(tiny_values, overrides), where="the test")
    folder = tmp_path_factory.mktemp("recalibrated")
    train(config, folder, candles=candles)
    return folder, config


def test_the_spreads_are_those_of_the_validation_part(folder, candles):
    path, _ = folder
    content = json.loads((path / "forecaster.json").read_text(encoding="utf-8"))
    assert content["options"] == {"mix": "heads", "num_passes": 1}
    spreads = content["recalibration"]["spreads"]["all"]
    assert set(spreads) == {"1", "5"}
    raw, right = (
        load_forecaster(path, recalibrate=keep).forecast(candles, horizons=(1, 5)) for keep in (False, True)
    )
    median = raw.quantile(0.5)
    away = (right.quantile(0.9) - median) / (raw.quantile(0.9) - median)
    category = content["recalibration"]["spreads"].get("us", spreads)
    np.testing.assert_allclose(away, np.tile([category["1"], category["5"]], (len(raw), 1)), rtol=1e-6)


def test_options_come_from_the_run_unless_given(folder):
    path, _ = folder
    assert load_forecaster(path).config.mix == "heads"
    assert load_forecaster(path, mix="paths").config.mix == "paths"


def test_the_test_part_has_no_say(folder, candles, tmp_path, tripled_from):
    """Every candle after the validation part tripled: the same spreads."""
    path, config = folder
    cut = np.datetime64(config.split.validation_until, "ns")
    other = tripled_from(candles, cut)
    train(config, tmp_path / "other", candles=other)
    files = [(folder / "forecaster.json").read_text() for folder in (path, tmp_path / "other")]
    assert files[0] == files[1]
