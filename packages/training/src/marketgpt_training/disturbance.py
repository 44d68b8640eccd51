"""How windows are disturbed in training, so that inputs are used for what they say, not as names of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_models.base import InputSpec
from marketgpt_models.covariates import Covariates
from marketgpt_training.config import DisturbConfig
from marketgpt_training.mirror import Mirror


class Disturbance:
    """Withholds and blurs covariates, window by window, and mirrors some of the candles to come.

    The state of the market is the same for all symbols of a day: exact, it would name the day, and the model
    would learn by heart what became of it. And while paths are generated nobody knows it.

    Args:
        config: How much.
        spec: What the model is built for: where covariates stand.
        tokens: shape (N, K), int64: of the training part.
        channel_names: Of the tokens; needed to mirror candles.
    """

    def __init__(
        self, config: DisturbConfig, spec: InputSpec, tokens: NDArray[np.int64], channel_names: Sequence[str]
    ) -> None:
        self._config = config
        self._mirror = Mirror(tokens, channel_names) if config.mirrored_candles else None
        covariates = Covariates(spec.covariates)
        first = spec.num_continuous - len(covariates.names)
        self._unknown_ahead = np.flatnonzero(covariates.unknown_ahead) + first
        self._market = np.flatnonzero(covariates.columns("market")) + first

    def __call__(self, arrays: Mapping[str, NDArray[Any]], rng: np.random.Generator) -> None:
        """Disturb a batch in place; see :meth:`marketgpt_training.dataset.WindowDataset.batch`."""
        self._inputs(arrays["continuous"], rng)
        if self._mirror is not None:
            mask_BT, targets_BTK = arrays["mask"], arrays["targets"]
            # Half of the candles mirrored says nothing of direction.
            chosen = mask_BT & (rng.random(mask_BT.shape) < self._config.mirrored_candles / 2)
            targets_BTK[chosen] = self._mirror(targets_BTK[chosen], rng)

    def _inputs(self, continuous_BTF: NDArray[np.float32], rng: np.random.Generator) -> None:
        # Half of the noise's variance is the window's, half the row's: what is one's own over the whole
        # window does not average out.
        size, length, _ = continuous_BTF.shape
        if self._config.market_noise and len(self._market):
            shapes = ((size, 1, len(self._market)), (size, length, len(self._market)))
            noise = sum(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
            continuous_BTF[..., self._market] += np.float32(self._config.market_noise / np.sqrt(2)) * noise
        chosen = np.flatnonzero(rng.random(size) < self._config.withhold_rate)
        for row, start in zip(chosen, rng.integers(0, length, len(chosen)), strict=True):
            continuous_BTF[row, start:, self._unknown_ahead] = 0.0
