"""How inputs are disturbed in training, so that they are used for what they say and not as names of days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_models.base import InputSpec
from marketgpt_models.covariates import Covariates
from marketgpt_training.config import DisturbConfig


class Disturbance:
    """Withholds and blurs covariates, window by window.

    The state of the market is the same for all symbols of a day: exact, it would name the day, and the model
    would learn by heart what became of it. And while paths are generated nobody knows it.

    Args:
        config: How much.
        spec: What the model is built for: where covariates stand.
    """

    def __init__(self, config: DisturbConfig, spec: InputSpec) -> None:
        self._config = config
        covariates = Covariates(spec.covariates)
        first = spec.num_continuous - len(covariates.names)
        self._unknown_ahead = np.flatnonzero(covariates.unknown_ahead) + first
        self._market = np.flatnonzero(covariates.columns("market")) + first

    def __call__(self, continuous_BTF: NDArray[np.float32], rng: np.random.Generator) -> None:
        """Disturb the inputs of B windows in place.

        Half of the noise's variance is the window's, half the row's: what is one's own over the whole window
        does not average out.
        """
        size, length, _ = continuous_BTF.shape
        if self._config.market_noise and len(self._market):
            shapes = ((size, 1, len(self._market)), (size, length, len(self._market)))
            noise = sum(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
            continuous_BTF[..., self._market] += np.float32(self._config.market_noise / np.sqrt(2)) * noise
        chosen = np.flatnonzero(rng.random(size) < self._config.withhold_rate)
        for row, start in zip(chosen, rng.integers(0, length, len(chosen)), strict=True):
            continuous_BTF[row, start:, self._unknown_ahead] = 0.0
