import pytest
import torch
import torch.nn.functional as F

from marketgpt_models.fused import NORM_EPS, TurnedUnit, UnitMeanSquare, fuses
from marketgpt_models.layers import RMSNorm, rotary_angles, rotate, turned_unit


def random(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def angles(length, width, dtype):
    return [one.to(dtype) for one in rotary_angles(torch.arange(length), width)]


def test_gradients_are_those_of_finite_differences():
    x, (cos, sin) = random(2, 3, 2, 6), angles(3, 6, torch.float64)
    assert torch.autograd.gradcheck(UnitMeanSquare.apply, (x,))
    assert torch.autograd.gradcheck(lambda one: TurnedUnit.apply(one, cos, sin), (x,))


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0, 1e4])
def test_values_and_gradients_are_the_plain_formulas(scale):
    values = random(2, 5, 3, 8, dtype=torch.float32).detach() * scale
    (cos, sin), weight = angles(5, 8, torch.float32), random(2, 5, 3, 8, dtype=torch.float32).detach()
    pairs = [
        (UnitMeanSquare.apply, lambda x: F.rms_norm(x, x.shape[-1:], eps=NORM_EPS)),
        (
            lambda x: turned_unit(x, cos, sin),
            lambda x: rotate(F.rms_norm(x, x.shape[-1:], eps=NORM_EPS), cos, sin),
        ),
    ]
    for ours, plain in pairs:
        results = []
        for function in (ours, plain):
            x = values.clone().requires_grad_()
            y = function(x)
            (y * weight).sum().backward()
            results.append((y.detach(), x.grad))
        torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_keys_as_a_slice_of_a_product_are_turned_too():
    """Keys come as a view into keys and values: not contiguous."""
    (cos, sin), both = angles(5, 8, torch.float32), random(2, 5, 6, 8, dtype=torch.float32)
    keys = both[:, :, :3]
    expected = rotate(F.rms_norm(keys, (8,), eps=NORM_EPS), cos, sin)
    torch.testing.assert_close(turned_unit(keys, cos, sin), expected, rtol=1e-5, atol=1e-6)


def test_the_norm_is_torchs_and_keeps_its_state():
    norm, plain = RMSNorm(16, eps=NORM_EPS), torch.nn.RMSNorm(16, eps=NORM_EPS)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2.0, 16))
    plain.load_state_dict(norm.state_dict())
    x = random(4, 16, dtype=torch.float32)
    torch.testing.assert_close(norm(x), plain(x), rtol=1e-6, atol=1e-6)
    assert list(norm.state_dict()) == ["weight"]


def test_other_numbers_take_the_plain_way():
    assert fuses(torch.zeros(2))
    assert not fuses(torch.zeros(2, dtype=torch.bfloat16))
    x, (cos, sin) = random(1, 3, 2, 4, dtype=torch.bfloat16), angles(3, 4, torch.bfloat16)
    assert turned_unit(x, cos, sin).dtype == torch.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"layout": "parallel"}, {"layout": "flattened"}])
def test_a_step_compiles_without_a_break_in_the_graph(options):
    """A break costs a GPU its compiled step; fullgraph=True raises at the first one. No code is generated."""
    from marketgpt_core import registry
    from marketgpt_models.testing import example_batch, example_spec

    spec = example_spec()
    torch.manual_seed(0)
    options = {"num_layers": 2, "dim": 32, "dropout": 0.0, **options}
    module = registry("model").create("market_gpt", options).build(spec).train()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    batch = example_batch(spec)
    gradients = []
    for one in (module, compiled):
        module.zero_grad()
        loss = one(batch)["loss"]
        loss.backward()
        gradients.append([loss.detach(), *(weight.grad.clone() for weight in module.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
