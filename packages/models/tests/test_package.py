import subprocess
import sys

import pytest

import marketgpt_models
from marketgpt_core import PluginError, registry
from marketgpt_models.base import ModelVariant

HEAVY = ("numpy", "pandas", "pydantic", "torch")


@pytest.mark.parametrize("module", ["marketgpt_models", "marketgpt_models.cli", "marketgpt_models.plugin"])
def test_importing_is_cheap(module):
    code = f"import sys, {module}; found = [m for m in {HEAVY} if m in sys.modules]; assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_public_name_can_be_had():
    for name in marketgpt_models.__all__:
        assert getattr(marketgpt_models, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = marketgpt_models.Nothing


def test_features_need_no_torch():
    code = (
        "import sys, marketgpt_models.features, marketgpt_models.base, marketgpt_models.gpt_variant,"
        " marketgpt_models.prefix, marketgpt_models.mixing; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_registry_knows_the_variant():
    assert "market_gpt" in registry("model").names()
    assert issubclass(registry("model").load("market_gpt"), ModelVariant)
    assert registry("model").provider("market_gpt").distribution == "marketgpt-models"


def test_an_unknown_variant_gets_a_hint():
    with pytest.raises(PluginError, match="did you mean 'market_gpt'"):
        registry("model").create("market-gpt")
