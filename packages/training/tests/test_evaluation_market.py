"""Evaluating some symbols of a market: the model is told of all of it, and judged on those asked for."""

from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.testing import make_candles
from marketgpt_training.config import TrainConfig
from marketgpt_training.evaluation.of_run import evaluate_candles, evaluate_run
from marketgpt_training.pipeline import train

NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")


@pytest.fixture(scope="module")
def market():
    return make_candles(NAMES, num_candles=1_400)


@pytest.fixture(scope="module")
def run(market, tmp_path_factory, tiny_values):
    overrides = (
        "covariates=['volatility','market','recurrence','volume']",
        "model.name=market_gpt_multi",
        "evaluation.forecaster={mix='heads',num_passes=1}",
        "evaluation.every=40",
        "loop.max_epochs=1",
    )
    config = load_config(TrainConfig, apply_overrides(tiny_values, overrides), where="the test")
    return train(config, tmp_path_factory.mktemp("market") / "run", candles=market)


def test_the_state_of_the_market_is_that_of_all_symbols(run, market):
    few = Candles([market["AAA"], market["CCC"]])
    whole = evaluate_candles(run, market).forecasts["model"]
    told = evaluate_candles(run, few, market=market)
    alone = evaluate_candles(run, few).forecasts["model"]
    assert told.results["symbols"] == ["AAA", "CCC"]
    made = told.forecasts["model"]
    for symbol in ("AAA", "CCC"):
        np.testing.assert_array_equal(made.of(symbol).quantiles, whole.of(symbol).quantiles)
        assert not np.array_equal(made.of(symbol).quantiles, alone.of(symbol).quantiles)
    assert told.results["tokens"]["candles"] < evaluate_candles(run, market).results["tokens"]["candles"]


def test_a_run_is_evaluated_on_some_symbols_with_all_of_its_source(run, market, monkeypatch):
    asked = []

    def load(source, *, symbols, **_):
        asked.append(symbols)
        return market if symbols is None else Candles(market[symbol] for symbol in symbols)

    monkeypatch.setattr("marketgpt_data_sources.load_candles", load)
    results = evaluate_run(run.path, symbols=("BBB",), record=False)
    assert asked == [None]
    assert results["symbols"] == ["BBB"]
