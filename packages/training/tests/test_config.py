from __future__ import annotations

import pytest

from marketgpt_core.config import read_toml, to_toml
from marketgpt_core.errors import ConfigError
from marketgpt_training.config import TrainConfig, preset, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_names_installed_plugins(name):
    from marketgpt_core.plugins import registry

    config = preset(name)
    assert config.model.name in registry("model").names()
    assert config.tokenizer.name in registry("tokenizer").names()
    assert config.engine.name in registry("training-engine").names()
    registry("model").create(config.model.name, config.model.resolved())


def test_overrides_reach_nested_keys():
    config = preset("demo", ("optim.lr=0.5", "model.options.dim=32", "loop.batch_size=4"))
    assert config.optim.lr == 0.5
    assert config.model.options["dim"] == 32
    assert config.loop.batch_size == 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("optim.lrr=1",), ["'optim.lrr'", "did you mean 'lr'", "preset demo"]),
        (("optim.lr=-1",), ["optim.lr", "greater than 0", "-1"]),
        (("split.embargo_bars=3",), ["embargo_bars 3", "42"]),
        (("split.train_until=2020-01-01",), ["2020-01-01", "before validation_until"]),
        (("nonsense",), ["'nonsense'", "key.sub=value"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(overrides, words):
    with pytest.raises(ConfigError) as caught:
        preset("demo", overrides)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_unknown_preset_gets_a_close_match():
    with pytest.raises(ConfigError, match="unknown preset 'dmo'; did you mean 'demo'"):
        preset("dmo")


def test_a_resolved_configuration_reads_back_from_toml(tmp_path):
    config = preset("demo", ("seed=11",))
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config.model_dump(mode="json")), encoding="utf-8")
    assert TrainConfig.model_validate(read_toml(path)) == config
