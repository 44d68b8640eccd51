import pytest
import torch

from marketgpt_core import ConfigError, registry
from marketgpt_models.testing import example_batch, example_spec


def variant(**options):
    return registry("model").create("market_gpt", options)


@pytest.mark.parametrize(
    "options",
    [{}, {"dim": 48, "num_heads": 3, "num_kv_heads": 3}, {"num_layers": 7, "mlp_ratio": 4.0, "dim": 40}],
)
def test_size_is_counted_without_building(options):
    chosen, spec = variant(**options), example_spec()
    assert chosen.num_parameters(spec) == sum(p.numel() for p in chosen.build(spec).parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 98}, "multiple of 2"),
        ({"num_kv_heads": 3}, "num_kv_heads must divide"),
        ({"dropout": 1.0}, "dropout"),
        ({"layers": 3}, "no such key 'layers'"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        variant(**options)
    assert "\n" not in str(caught.value)


def test_loss_weighs_the_horizon_heads():
    spec, batch = example_spec(), example_batch(example_spec())
    torch.manual_seed(0)
    result = variant(horizon_weight=0.5).build(spec).eval()(batch)
    expected = result["nll"] + 0.5 * result["horizon_nll"]
    torch.testing.assert_close(result["loss"].detach(), expected)


def test_an_untrained_model_says_uniform():
    spec = example_spec()
    result = variant().build(spec).eval()(example_batch(spec))
    assert float(result["nll"]) == pytest.approx(float(torch.tensor(spec.vocab_sizes).double().log().sum()))
    assert float(result["horizon_nll"]) == pytest.approx(float(torch.tensor(32.0).log()))


def test_dropout_acts_in_training_only():
    spec, batch = example_spec(), example_batch(example_spec())
    torch.manual_seed(0)
    module = variant(dropout=0.5).build(spec)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
        assert float(module.train()(batch)["nll"]) != float(module(batch)["nll"])
        assert float(module.eval()(batch)["nll"]) == float(module(batch)["nll"])


def test_positions_are_relative():
    """Shifting a window by padding it on the left with masked rows changes nothing: no absolute position."""
    spec, batch = example_spec(), example_batch(example_spec(), length=6)
    torch.manual_seed(1)
    module = variant(num_layers=2, dim=32).build(spec).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        padded = batch | {
            name: torch.cat((torch.zeros_like(batch[name][:, :3]), batch[name]), dim=1)
            for name in ("tokens", "continuous", "calendar")
        }
        valid = torch.ones(4, 9, dtype=torch.bool)
        valid[:, :3] = False
        whole, shifted = module.encode(batch), module.encode(padded, valid)[:, 3:]
    torch.testing.assert_close(whole, shifted, rtol=1e-4, atol=1e-5)


def test_the_order_of_history_matters():
    spec, batch = example_spec(), example_batch(example_spec())
    torch.manual_seed(1)
    module = variant(num_layers=1, dim=32).build(spec).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
        swapped = batch | {
            name: torch.cat((batch[name][:, [1, 0]], batch[name][:, 2:]), dim=1)
            for name in ("tokens", "continuous", "calendar")
        }
        assert (module.encode(batch)[:, -1] - module.encode(swapped)[:, -1]).abs().max() > 1e-4
