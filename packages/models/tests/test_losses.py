import pytest
import torch

from marketgpt_models.losses import candle_losses, horizon_losses


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
        loss, trained = horizon_losses(logits, torch.full((1, 1, 1), z), mask, edges)
        assert float(loss) == float(trained) == pytest.approx(expected, abs=1e-4)


def test_no_target_costs_nothing_and_has_a_gradient():
    logits = torch.zeros(1, 1, 1, 3, requires_grad=True)
    nan = torch.full((1, 1, 1), torch.nan)
    loss, _ = horizon_losses(logits, nan, torch.tensor([[True]]), torch.zeros(1, 2))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert bool((logits.grad == 0).all())


def test_what_is_mirrored_does_not_tell_a_rise_from_a_fall():
    """Fully mirrored, the gradient on the logits is the same at both ends, whichever came."""
    edges, mask = torch.tensor([[-1.0, 0.0, 1.0]]), torch.tensor([[True]])
    gradients = []
    for z in (2.0, -2.0):
        logits = torch.zeros(1, 1, 1, 4, requires_grad=True)
        plain, trained = horizon_losses(logits, torch.full((1, 1, 1), z), mask, edges, mirrored=1.0)
        trained.backward()
        gradients.append(logits.grad.flatten())
        assert float(plain.detach()) == pytest.approx(1.3863, abs=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert gradients[0][0] == gradients[0][3] < 0 < gradients[0][1]
