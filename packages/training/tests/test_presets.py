"""The presets: what each is for, and that it can be built and fed."""

from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.config import read_toml
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.plugins import registry
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.writing import write_parquet
from marketgpt_models.presets import shape
from marketgpt_training import preset
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.loading import load_candles
from marketgpt_training.pipeline import train
from marketgpt_training.sampling import Balanced

CASES = {"crypto": (20, 5, 6, 256), "crypto-multitask": (20, 5, 6, 256), "reduced": (100, 10, 8, 512),
         "full-market": (600, 20, 12, 768)}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_its_assets_years_and_shape(name):
    from marketgpt_core.universe import open_universe

    config = preset(name)
    assets, years, layers, dim = CASES[name]
    assert len(open_universe(config.data.universe)) == assets
    assert 2026 - config.data.start.year in (years, years + 1, years + 2)
    variant = registry("model").create(config.model.name, config.model.resolved())
    assert (variant.config.num_layers, variant.config.dim) == (layers, dim)
    assert variant.config.context == shape(config.model.shape).options["context"]


def test_options_win_over_the_shape_and_a_variant_takes_what_it_has():
    config = preset("crypto", ("model.options={dim=64}", "model.name=lstm"))
    options = config.model.resolved()
    assert (options["dim"], options["num_layers"]) == (64, 6)
    assert "num_heads" not in options
    with pytest.raises(ConfigError, match=r"unknown preset 'crytpo'.*crypto"):
        preset("crypto", ("model.shape=crytpo",)).model.resolved()


@pytest.fixture
def folder(tmp_path):
    names = ("BTC-USD", "ETH-USD", "SOL-USD", "ELSEWHERE")
    write_parquet(make_candles(names, num_candles=1_700, start="2020-01-01"), tmp_path / "candles")
    return tmp_path / "candles"


def test_of_a_universe_what_the_source_has_is_taken_and_the_rest_told(folder, caplog):
    config = preset("crypto", (f"data.source=parquet:{folder}",))
    assert load_candles(config).symbols == ("BTC-USD", "ETH-USD", "SOL-USD")
    assert "has 3 of the 20 symbols of universe crypto; absent: " in caplog.text
    with pytest.raises(DataError, match=r"source .* has none of the \d+ symbols of universe commodity"):
        load_candles(preset("crypto", (f"data.source=parquet:{folder}", "data.universe=commodity")))


@pytest.mark.parametrize("name", ["crypto", "crypto-multitask"])
def test_a_case_is_trained_from_a_folder(folder, tmp_path, name):
    config = preset(
        name,
        (
            f"data.source=parquet:{folder}", "engine.name=torch", "loop.max_steps=3", "loop.batch_size=4",
            "model.options={num_layers=1,dim=16,num_heads=2,num_kv_heads=1,context=32}",
            "split.train_until=2023-01-01", "split.validation_until=2023-09-01", "loop.threads=1",
        ),
    )  # fmt: skip
    run = train(config, tmp_path / "run")
    assert run.json("training_summary.json")["steps"] == 3
    assert run.json("model.json")["variant"] == config.model.name
    # Resolved: what is evaluated and resumed is what was trained on, whatever the universe becomes.
    assert read_toml(run.path / "config.toml")["data"]["symbols"] == ["BTC-USD", "ETH-USD", "SOL-USD"]


def test_balanced_epochs_give_small_categories_more_and_large_ones_less():
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.features import features_of_all

    us = make_candles(("AAA", "BBB", "CCC", "DDD"), num_candles=600)
    coin = make_candles(("BTC-USD",), num_candles=600, category=Category.CRYPTO)
    candles = Candles([*us.values(), *coin.values()])
    tokenizer = registry("tokenizer").create("ohlc").fit(candles)
    features = list(features_of_all(tokenizer, candles, (1, 5), Covariates(())).values())
    shares = {}
    for balance in (0.0, 0.5, 1.0):
        data = WindowDataset(
            features, context=16, spec=_spec(), sampling=Balanced(balance) if balance else None
        )
        windows = data.windows(np.random.default_rng(0))
        plain = len(data.windows(np.random.default_rng(0))) if balance else len(windows)
        assert len(windows) == pytest.approx(plain, abs=2)
        shares[balance] = np.mean(windows[:, 0] == 4)
        # Of each category whole rounds, each window as often as any other, but for one.
        for crypto in (False, True):
            _, times = np.unique(windows[(windows[:, 0] == 4) == crypto], axis=0, return_counts=True)
            assert times.max() - times.min() <= 1
        assert len(data.windows(None)) == len(WindowDataset(features, context=16, spec=_spec()).windows(None))
    assert shares[0.0] == pytest.approx(0.2, abs=0.01)
    assert shares[0.5] == pytest.approx(1 / 3, abs=0.02)
    assert shares[1.0] == pytest.approx(0.5, abs=0.02)


def _spec():
    from marketgpt_models.testing_examples import example_spec

    return example_spec((1, 5))


def test_options_of_the_usual_engine_need_no_name():
    config = preset("demo", ("engine.options.zero_stage=3",))
    assert (config.engine.name, config.engine.options) == ("deepspeed", {"zero_stage": 3})
