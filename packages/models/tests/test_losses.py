import pytest
import torch

from marketgpt_models.losses import candle_losses, horizon_loss


def test_mean_is_over_the_mask():
    logits = torch.zeros(1, 2, 3)
    logits[0, 1, 2] = 100.0
    targets = torch.tensor([[[0], [0]]])
    first = candle_losses([logits], targets, torch.tensor([[True, False]]))
    assert float(first) == pytest.approx(1.0986, abs=1e-4)
    both = candle_losses([logits], targets, torch.tensor([[True, True]]))
    assert float(both) == pytest.approx((1.0986 + 100.0) / 2, abs=1e-3)


def test_horizon_targets_fall_into_their_bins():
    logits = torch.zeros(1, 1, 1, 3)
    logits[..., 2] = 50.0
    edges = torch.tensor([[-1.0, 1.0]])
    mask = torch.tensor([[True]])
    for z, expected in ((1.0, 0.0), (0.99, 50.0), (-5.0, 50.0)):
        loss = horizon_loss(logits, torch.full((1, 1, 1), z), mask, edges)
        assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_no_target_costs_nothing_and_has_a_gradient():
    logits = torch.zeros(1, 1, 1, 3, requires_grad=True)
    loss = horizon_loss(logits, torch.full((1, 1, 1), torch.nan), torch.tensor([[True]]), torch.zeros(1, 2))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert bool((logits.grad == 0).all())
