import subprocess
import sys
from pathlib import Path

import pytest

from marketgpt_core import ConfigError, registry
from marketgpt_models.base import ModelVariant
from marketgpt_models.listing import _parameters, typical_spec
from marketgpt_models.presets import SHAPES, Shape, shape
from marketgpt_models.testing import example_spec

# Millions of parameters each shape is named after.
AIMS = {"tiny": 0.3, "small": 1.0, "medium": 4.0, "crypto": 5.0, "reduced": 25.0, "full-market": 85.0}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_about_the_parameters_it_is_named_after(name):
    found = shape(name)
    variant = registry("model").create(found.variant, found.options)
    assert variant.num_parameters(typical_spec()) / 1e6 == pytest.approx(AIMS[name], rel=0.06)
    assert variant.config.context == found.options["context"]


@pytest.mark.parametrize(
    ("name", "layers", "width", "heads", "context"),
    [("crypto", 6, 256, 8, 128), ("reduced", 8, 512, 8, 256), ("full-market", 12, 768, 12, 512)],
)
def test_the_three_presets_have_their_shapes(name, layers, width, heads, context):
    options = shape(name).options
    asked = [options[key] for key in ("num_layers", "dim", "num_heads", "context")]
    assert asked == [layers, width, heads, context]


def test_the_ladder_rises():
    spec = typical_spec()
    sizes = [
        registry("model").create(one.variant, one.options).num_parameters(spec) for one in SHAPES.values()
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("variant", ["market_gpt", "market_gpt_multi", "multitask", "lstm", "gru"])
def test_what_is_listed_is_what_is_built(variant):
    cls = registry("model").load(variant)
    options = {key: value for key, value in shape("tiny").options.items() if key in cls.Config.model_fields}
    spec = typical_spec().model_dump() | {"horizon_bins": _bins(typical_spec().horizons)}
    module = registry("model").create(variant, options).build(type(typical_spec())(**spec))
    assert _parameters(cls, shape("tiny")) == sum(weight.numel() for weight in module.parameters())


def _bins(horizons):
    return example_spec(horizons).horizon_bins


def test_a_variant_without_such_a_shape_has_no_size():
    class Other(ModelVariant):
        def build(self, spec):
            raise NotImplementedError

        def num_parameters(self, spec):
            return 7

    assert _parameters(Other, shape("tiny")) is None
    cls = registry("model").load("market_gpt")
    assert _parameters(cls, Shape("market_gpt", {"num_layers": 2, "dim": 97})) is None


def test_an_unknown_preset_gets_a_hint():
    with pytest.raises(ConfigError, match="unknown preset 'full_market'; did you mean 'full-market'"):
        shape("full_market")


def test_shapes_cannot_be_changed_and_bring_nothing_heavy():
    with pytest.raises(TypeError):
        SHAPES["tiny"].options["dim"] = 3
    code = (
        "import sys, marketgpt_models.presets;"
        "assert not {'torch', 'pydantic', 'numpy'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_readme_tells_the_shapes_as_they_are():
    lines = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    for name, one in SHAPES.items():
        size = registry("model").create(one.variant, one.options).num_parameters(typical_spec())
        given = [one.options[key] for key in ("num_layers", "dim", "num_heads", "context")]
        assert f"| {name} | {' | '.join(map(str, given))} | {size:,} |" in lines
