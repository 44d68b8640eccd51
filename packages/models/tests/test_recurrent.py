import pytest
import torch
from torch import nn

from marketgpt_core import registry
from marketgpt_models.passes import held_pass
from marketgpt_models.testing import example_batch, example_history, example_spec

OPTIONS = {"num_layers": 2, "dim": 16, "head_dim_candle": 16, "dropout": 0.3}


def build(name, noise=0.2, **options):
    torch.manual_seed(0)
    module = registry("model").create(name, OPTIONS | options).build(example_spec()).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(noise * torch.randn_like(weight))
    return module


@pytest.mark.parametrize(("name", "cell"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_it_is_the_cell_it_is_named_after(name, cell):
    module = build(name)
    assert all(type(layer) is cell for layer in module.layers)
    # What torch itself makes of the two layers in a row.
    stack = cell(16, 16, num_layers=2, batch_first=True)
    with torch.no_grad():
        for number, layer in enumerate(module.layers):
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(stack, f"{part}_l{number}").copy_(getattr(layer, f"{part}_l0"))
        x = torch.randn(3, 9, 16)
        torch.testing.assert_close(module.trunk(x, None), module.final_norm(stack(x)[0]))


def test_an_lstm_remembers_at_first():
    for layer in build("lstm", noise=0.0).layers:
        forget = (layer.bias_ih_l0 + layer.bias_hh_l0)[16:32]
        torch.testing.assert_close(forget, torch.ones(16))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_row_beside_shorter_ones_is_the_row_alone(name):
    module, batch = build(name), example_batch(example_spec())
    valid = torch.ones(4, 12, dtype=torch.bool)
    for row, first in enumerate((7, 0, 11, 3)):
        valid[row, :first] = False
    with torch.no_grad():
        together = module.encode(batch, valid)
        for row, first in enumerate((7, 0, 11, 3)):
            alone = {name: one[row : row + 1] for name, one in batch.items()}
            for kind in ("tokens", "continuous", "calendar"):
                alone[kind] = alone[kind][:, first:]
            torch.testing.assert_close(
                together[row : row + 1, first:], module.encode(alone), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_decoder_keeps_the_masks_of_its_pass(name):
    """Made in one pass and used in another, or after all, it speaks for the pass it was made in."""
    module, batch = build(name), example_batch(example_spec())
    history = example_history(batch, 12)
    with torch.inference_mode():
        with held_pass(module, seed=0, number=0, num_passes=2):
            decoder = module.decoder()
            expected = module.encode(batch)[:, -1]
        with held_pass(module, seed=0, number=1, num_passes=2):
            said, _ = decoder.begin(history, num_samples=1, num_steps=1)
            other = module.encode(batch)[:, -1]
        later, _ = decoder.begin(history, num_samples=1, num_steps=1)
    torch.testing.assert_close(said, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(later, expected, rtol=1e-5, atol=1e-6)
    assert float((said - other).abs().max()) > 1e-2


def test_a_path_costs_the_same_however_long():
    decoder = build("lstm").decoder()
    assert decoder.path_bytes(1) == decoder.path_bytes(1_000) == 2 * 2 * 16 * 4
