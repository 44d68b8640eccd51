"""What fine-tuning learns on top of a base: nothing at first, its part after, plain weights at last."""

from __future__ import annotations

import copy

import pytest
import torch

from marketgpt_core.errors import ConfigError
from marketgpt_core.plugins import registry
from marketgpt_models.testing_examples import example_batch, example_spec
from marketgpt_training.base import weight_decay_groups
from marketgpt_training.config import FinetuneConfig
from marketgpt_training.finetuning.adapters import adapt, fold

SIZES = {
    "market_gpt": {"context": 16, "num_layers": 1, "dim": 16, "num_heads": 2, "dropout": 0.0},
    "lstm": {"context": 16, "num_layers": 1, "dim": 16, "dropout": 0.0},
}


def _built(name="market_gpt"):
    torch.manual_seed(0)
    spec = example_spec((1, 5))
    module = registry("model").create(name, SIZES[name]).build(spec)
    with torch.no_grad():
        # Outputs begin at zero, where no gradient would reach the trunk.
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module.eval(), example_batch(spec, size=3, length=16)


def _config(method, **options):
    return FinetuneConfig(base="somewhere", market="us", method=method, **options)


@pytest.mark.parametrize("method", ["full", "heads", "lora"])
def test_it_begins_as_the_base_learns_its_part_and_folds_into_plain_weights(method):
    base, batch = _built()
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    module = copy.deepcopy(base)
    adapt(module, _config(method))
    torch.testing.assert_close(module(batch)["loss"], base(batch)["loss"])
    learned = [one for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-2, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        module(batch)["loss"].backward()
        optimizer.step()
    after = module(batch)["loss"]
    assert after < base(batch)["loss"]
    fold(module)
    torch.testing.assert_close(module(batch)["loss"], after)
    state = module.state_dict()
    assert state.keys() == before.keys()
    changed = {name for name, tensor in state.items() if not torch.equal(tensor, before[name])}
    heads = {name for name in state if name.startswith(("candle_head.", "horizon_head."))}
    if method == "heads":
        assert changed <= heads
    elif method == "lora":
        linear = {
            f"{name}.weight" for name, one in module.named_modules() if isinstance(one, torch.nn.Linear)
        }
        assert changed <= linear
    else:
        assert changed - heads
    assert changed


def test_low_rank_differences_have_that_rank_and_fewer_numbers():
    base, batch = _built()
    module = copy.deepcopy(base)
    adapt(module, _config("lora", rank=2))
    full = copy.deepcopy(base)
    adapt(full, _config("full"))
    assert sum(p.numel() for p in module.parameters()) < 0.5 * sum(p.numel() for p in full.parameters())
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        module(batch)["loss"].backward()
        optimizer.step()
    fold(module)
    for (name, ours), (_, theirs) in zip(module.state_dict().items(), base.state_dict().items(), strict=True):
        if ours.ndim == 2 and not torch.equal(ours, theirs):
            assert torch.linalg.matrix_rank(ours - theirs, tol=1e-5) <= 2, name


def test_weight_decay_pulls_to_the_base_not_to_zero():
    base, _ = _built()
    module = copy.deepcopy(base)
    adapt(module, _config("full"))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    optimizer = torch.optim.AdamW(weight_decay_groups(module, 1.0), lr=0.1)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(100):
        optimizer.step()
    fold(module)
    for (name, ours), (_, theirs) in zip(module.named_parameters(), base.named_parameters(), strict=True):
        if ours.ndim == 2:
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0, msg=name)


def test_what_is_not_learned_is_no_parameter_of_an_engine():
    base, _ = _built()
    adapt(base, _config("heads"))
    assert all(name.startswith(("candle_head.", "horizon_head.")) for name, _ in base.named_parameters())


def test_recurrent_layers_learn_by_their_heads_alone():
    module, batch = _built("lstm")
    with pytest.raises(ConfigError, match="LSTM layers of torch cannot be held to their base"):
        adapt(copy.deepcopy(module), _config("full"))
    before = module(batch)["loss"]
    adapt(module, _config("heads"))
    torch.testing.assert_close(module(batch)["loss"], before)
    module(batch)["loss"].backward()
    assert {name.split(".")[0] for name, one in module.named_parameters() if one.grad is not None} <= {
        "candle_head",
        "horizon_head",
    }


def test_a_module_without_named_heads_says_so():
    module = torch.nn.Sequential(torch.nn.Embedding(3, 2))
    with pytest.raises(ConfigError, match="names no heads"):
        adapt(module, _config("heads"))
    with pytest.raises(ConfigError, match="has no linear layers; allowed: full, heads"):
        adapt(module, _config("lora"))
