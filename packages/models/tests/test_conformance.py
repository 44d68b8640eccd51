import pytest

from marketgpt_core import registry
from marketgpt_models.testing import ModelVariantConformance, example_batch, example_spec


class TestMarketGPT(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        return registry("model").create("market_gpt", {"num_layers": 2, "dim": 32, "head_dim_candle": 32})


class TestMarketGPTWithAsManyKeyHeads(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        options = {"num_layers": 1, "dim": 32, "num_heads": 4, "num_kv_heads": 2, "dropout": 0.0}
        return registry("model").create("market_gpt", options)


class TestMarketGPTMultiAsset(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        options = {"num_layers": 1, "dim": 32, "head_dim_candle": 32, "unknown_rate": 0.0}
        return registry("model").create("market_gpt_multi", options)


class TestParallelLayout(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        options = {"num_layers": 1, "dim": 32, "head_dim_candle": 32, "layout": "parallel"}
        return registry("model").create("market_gpt", options)


class TestFlattenedLayout(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        options = {"num_layers": 2, "dim": 32, "head_dim_candle": 32, "layout": "flattened"}
        return registry("model").create("market_gpt", options)


class TestFlattenedMultiAsset(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        options = {"num_layers": 1, "dim": 32, "head_dim_candle": 32, "layout": "flattened"}
        return registry("model").create("market_gpt_multi", options)


@pytest.mark.parametrize("name", ["lstm", "gru"])
class TestRecurrent(ModelVariantConformance):
    @pytest.fixture
    def implementation(self, name):
        return registry("model").create(name, {"dim": 32, "head_dim_candle": 32})


class TestMultiTask(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        options = {"num_layers": 1, "dim": 32, "head_dim_candle": 32, "layout": "parallel"}
        return registry("model").create("multitask", options)


class _Leaky:
    """A module wrapper that lets position t see the input of t + 1: the suite must object."""

    def __new__(cls, module):
        encode = module.encode

        def leaky(inputs, valid=None):
            return encode(inputs | {"continuous": inputs["continuous"].roll(-1, dims=1)}, valid)

        module.encode = leaky
        return module


def test_the_suite_catches_a_look_ahead():
    variant = registry("model").create("market_gpt", {"num_layers": 1, "dim": 16})
    build = variant.build
    variant.build = lambda spec: _Leaky(build(spec))
    with pytest.raises(AssertionError):
        ModelVariantConformance().test_never_looks_ahead(variant)


def test_the_suite_catches_a_channel_that_sees_a_later_one():
    variant = registry("model").create("market_gpt", {"num_layers": 1, "dim": 16})
    build = variant.build

    def leaky(spec):
        module = build(spec)
        forward = module.candle_head.forward
        module.candle_head.forward = lambda h, targets: forward(h + targets[..., 3:].float(), targets)
        return module

    variant.build = leaky
    with pytest.raises(AssertionError):
        ModelVariantConformance().test_channels_are_a_chain(variant)


def test_example_batch_is_random_per_seed():
    spec = example_spec()
    assert not (example_batch(spec)["tokens"] == example_batch(spec, seed=1)["tokens"]).all()
