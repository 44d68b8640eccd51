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

    def __call__(self, arrays: Mapping[str, NDArray[Any]], rngs: Sequence[np.random.Generator]) -> None:
        """Disturb a batch in place; see :meth:`marketgpt_training.dataset.WindowDataset.batch`.

        Args:
            arrays: Of B windows.
            rngs: One a window: its disturbance is its own, whichever rank it comes to.
        """
        rows = zip(arrays["continuous"], arrays["mask"], arrays["targets"], rngs, strict=True)
        for continuous_TF, mask_T, targets_TK, rng in rows:
            self._inputs(continuous_TF, rng)
            if self._mirror is not None:
                # Half of the candles mirrored says nothing of direction.
                chosen = mask_T & (rng.random(len(mask_T)) < self._config.mirrored_candles / 2)
                targets_TK[chosen] = self._mirror(targets_TK[chosen], rng)

    def _inputs(self, continuous_TF: NDArray[np.float32], rng: np.random.Generator) -> None:
        # Half of the noise's variance is the window's, half the row's: what is one's own over the whole
        # window does not average out.
        length = len(continuous_TF)
        if self._config.market_noise and len(self._market):
            shapes = ((1, len(self._market)), (length, len(self._market)))
            noise = sum(rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
            continuous_TF[:, self._market] += np.float32(self._config.market_noise / np.sqrt(2)) * noise
        if rng.random() < self._config.withhold_rate:
            continuous_TF[rng.integers(0, length) :, self._unknown_ahead] = 0.0
