import pytest
import torch
from torch import nn

from marketgpt_training.weight_average import WeightAverage, trainable


def _linear(value):
    module = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(value)
    return module


def _fail_inside(average, module):
    with average.applied():
        assert (module.weight < 3.0).all()
        raise RuntimeError("in the block")


def test_the_average_follows_the_weights_with_a_warm_decay():
    module = _linear(0.0)
    average = WeightAverage(trainable(module), 0.9)
    expected = 0.0
    for step in range(1, 200):
        with torch.no_grad():
            module.weight.fill_(float(step))
        average.update()
        decay = min(0.9, step / (step + 10))
        expected = decay * expected + (1 - decay) * step
    with average.applied():
        torch.testing.assert_close(module.weight, torch.full((1, 2), expected))
    assert (module.weight == 199.0).all()


def test_the_weights_come_back_when_the_block_fails():
    module = _linear(1.0)
    average = WeightAverage(trainable(module), 0.5)
    with torch.no_grad():
        module.weight.fill_(3.0)
    average.update()
    with pytest.raises(RuntimeError, match="in the block"):
        _fail_inside(average, module)
    assert (module.weight == 3.0).all()


def test_without_decay_it_is_the_weights():
    module = _linear(2.0)
    average = WeightAverage(trainable(module), 0.0)
    average.update()
    with average.applied():
        assert (module.weight == 2.0).all()
