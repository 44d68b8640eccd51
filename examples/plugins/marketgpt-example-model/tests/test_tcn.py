from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip(
    "marketgpt_example_model", reason="not installed: pip install ./examples/plugins/marketgpt-example-model"
)

import torch

from marketgpt_core import ConfigError, registry
from marketgpt_models.passes import held_pass
from marketgpt_models.testing import ModelVariantConformance, example_batch, example_history, example_spec


class TestTCN(ModelVariantConformance):
    @pytest.fixture
    def implementation(self):
        return registry("model").create("tcn", {"num_layers": 4, "dim": 32, "head_dim_candle": 32})


def _built(**options):
    torch.manual_seed(0)
    options = {"num_layers": 3, "dim": 16, "head_dim_candle": 16, "dropout": 0.3} | options
    module = registry("model").create("tcn", options).build(example_spec()).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return module


def test_three_layers_look_back_eight_candles():
    module, batch = _built(), example_batch(example_spec())
    other = example_batch(example_spec(), seed=1)
    with torch.no_grad():
        said = module.encode(batch)[:, 11]
        for position, seen in ((4, True), (3, False), (0, False)):
            changed = batch["continuous"].clone()
            changed[:, position] = other["continuous"][:, position]
            now = module.encode(batch | {"continuous": changed})[:, 11]
            assert bool((now != said).any()) is seen, position


def test_a_pass_is_one_thinned_network_all_the_way():
    """History and generated candles go through the same held mask, and another pass through another."""
    module, batch = _built(), example_batch(example_spec())
    u = torch.full((4, 1, 4), 0.5)
    states = []
    for number in (0, 0, 1):
        with torch.inference_mode(), held_pass(module, seed=1, number=number, num_passes=2):
            decoder = module.decoder()
            h, cache = decoder.begin(example_history(batch, 10), num_samples=1, num_steps=2)
            tokens = decoder.draw(h[:, None], u, 1.0, cache)
            grown = decoder.extend(tokens, batch["continuous"][:, 10:11], batch["calendar"][:, 10], cache)
            longer = example_history(batch, 11)
            longer["tokens"] = torch.cat((longer["tokens"][:, :10], tokens), dim=1)
            torch.testing.assert_close(grown[:, 0], module.encode(longer)[:, -1], rtol=1e-4, atol=1e-5)
            states.append(grown)
    assert torch.equal(states[0], states[1])
    assert float((states[0] - states[2]).abs().max()) > 1e-3


def test_it_comes_through_its_entry_point():
    assert registry("model").provider("tcn").distribution == "marketgpt-example-model"
    with pytest.raises(ConfigError, match=r"no such key 'layers'"):
        registry("model").create("tcn", {"layers": 3})


def test_listing_it_imports_no_torch():
    code = (
        "import json, sys; from marketgpt_models.listing import described;"
        "print(json.dumps([described('tcn'), 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    row, torch_is_there = json.loads(done.stdout)
    assert not torch_is_there
    assert row["presets"]["small"] > 100_000
