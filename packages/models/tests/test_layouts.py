"""What the layouts of a candle can and cannot say."""

import math

import pytest
import torch

from marketgpt_core import ConfigError, registry
from marketgpt_models.testing import example_batch, example_spec

OPTIONS = {"num_layers": 1, "dim": 32, "num_heads": 2, "head_dim_candle": 32, "dropout": 0.0}


def build(layout, variant="market_gpt", **options):
    torch.manual_seed(0)
    return registry("model").create(variant, OPTIONS | options | {"layout": layout}).build(example_spec())


def noisy(module, noise=0.2):
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(noise * torch.randn_like(weight))
    return module.eval()


@pytest.mark.parametrize(("layout", "knows"), [("chained", True), ("flattened", True), ("parallel", False)])
def test_only_a_joint_law_learns_that_one_channel_copies_another(layout, knows):
    """Gap is a fair die, body tells the same number: given the gap there is nothing left to say of it."""
    module = build(layout).train()
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for step in range(60):
        batch = example_batch(example_spec(), size=8, length=16, seed=step)
        for name in ("tokens", "targets"):
            batch[name][..., 0] %= 4
            batch[name][..., 1] = batch[name][..., 0]
        optimiser.zero_grad()
        result = module(batch)
        result["loss"].backward()
        optimiser.step()
    assert float(result["nll_0"]) > 0.9 * math.log(4)
    if knows:
        assert float(result["nll_1"]) < 0.2 * math.log(4)
    else:
        assert float(result["nll_1"]) > 0.9 * math.log(4)


def test_flattened_has_the_parameters_of_chained_and_parallel_lacks_the_chain():
    sizes = {}
    for layout in ("chained", "flattened", "parallel"):
        sizes[layout] = sum(weight.numel() for weight in build(layout).parameters())
    assert sizes["flattened"] == sizes["chained"]
    assert sizes["chained"] - sizes["parallel"] == sum(example_spec().vocab_sizes[:-1]) * 32


def test_flattened_states_after_a_candle_do_not_know_the_next():
    module, batch = noisy(build("flattened")), example_batch(example_spec())
    other = example_batch(example_spec(), seed=1)
    with torch.no_grad():
        states = module.groups(batch, batch["targets"])
        torch.testing.assert_close(module.encode(batch), states[:, :, 0], rtol=1e-5, atol=1e-6)
        changed = module.groups(batch, torch.cat((batch["targets"][:, :-1], other["targets"][:, -1:]), 1))
    assert torch.equal(states[:, :-1], changed[:, :-1])
    assert torch.equal(states[:, -1, 0], changed[:, -1, 0])
    assert float((states[:, -1, 1:] - changed[:, -1, 1:]).abs().min(dim=-1).values.max()) > 0


def test_flattened_draws_know_the_channels_before():
    """Two paths of one history that differ in the gap alone say different things of the body."""
    module, batch = noisy(build("flattened", variant="market_gpt_multi")), example_batch(example_spec())
    targets = batch["targets"].clone()
    targets[:, -1, 0] = (targets[:, -1, 0] + 1) % 11
    with torch.no_grad():
        one, two = (module.token_logits(batch | {"targets": given}) for given in (batch["targets"], targets))
    assert torch.equal(one[0], two[0])
    for channel in (1, 2, 3):
        assert torch.equal(one[channel][:, :-1], two[channel][:, :-1])
        assert float((one[channel][:, -1] - two[channel][:, -1]).abs().max()) > 1e-3


def test_a_path_of_a_flattened_model_takes_as_many_positions_as_tokens():
    chained, flattened = (build(layout).eval().decoder() for layout in ("chained", "flattened"))
    assert flattened.path_bytes(10) == 4 * chained.path_bytes(10)


def test_an_unknown_layout_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="layout") as caught:
        build("diagonal")
    assert "\n" not in str(caught.value)
