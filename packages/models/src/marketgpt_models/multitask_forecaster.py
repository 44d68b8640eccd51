"""What a trained MultiTaskTransformer says beside its forecasts: classes of its tasks, direct quantiles.

Legend: N rows (a symbol at an as-of time), H horizons, Q levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import quantile_name
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_models.forecast_rows import ForecastRow, Histories, rows_to_forecast
from marketgpt_models.forecaster import GPTForecaster
from marketgpt_models.multitask_variant import QUANTILE_LEVELS
from marketgpt_models.prefix import MODEL_INPUTS

if TYPE_CHECKING:
    import pandas as pd

# Histories encoded at a time.
_ROWS_A_CHUNK = 32


@dataclass(frozen=True, eq=False)
class _Question:
    candles: Candles
    horizons: Sequence[int] | None
    as_of: Sequence[Moment] | None
    symbols: Sequence[str] | None
    seed: int

    def known(self) -> Candles:
        """Return the candles up to the last as-of time."""
        if self.as_of is None:
            return self.candles
        if not len(self.as_of):
            raise ConfigError("as_of names no date; None means each symbol's last candle")
        return self.candles.until(max(to_datetime64(one) for one in self.as_of))


class MultiTaskForecaster(GPTForecaster):
    """Forecasts as :class:`GPTForecaster` does, and tells the tasks' classes and the direct quantiles."""

    def tasks(
        self,
        candles: Candles,
        *,
        horizons: Sequence[int] | None = None,
        as_of: Sequence[Moment] | None = None,
        symbols: Sequence[str] | None = None,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Return one row per symbol, as-of time and horizon: symbol, as_of, horizon, ``<task>_<class>`` ...

        Probabilities of a task's classes (0 is the lowest) add up to 1; they are the mean over the dropout
        passes. What the classes are the tokenizer says: ``tokenizer.describe()``.

        Args:
            candles: Nothing after an as-of time is used.
            horizons: Some of those trained for; None means all.
            as_of: Moments; None means each symbol's last candle.
            symbols: Which; None means all.
            seed: Decides the dropout passes.

        Raises:
            ConfigError: for a horizon the model was not trained for.
            DataError: when no symbol has enough history.
        """
        names = [f"{task}_{c}" for task, size in self._tasks for c in range(size)]
        return self._table("tasks", names, _Question(candles, horizons, as_of, symbols, seed))

    def quantiles(
        self,
        candles: Candles,
        *,
        horizons: Sequence[int] | None = None,
        as_of: Sequence[Moment] | None = None,
        symbols: Sequence[str] | None = None,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Return one row per symbol, as-of time and horizon: symbol, as_of, horizon, q010, q050 ... q990.

        Quantiles of the cumulative natural-log return, the mean over the dropout passes. Arguments and errors
        are those of :meth:`tasks`.
        """
        names = [quantile_name(level) for level in QUANTILE_LEVELS]
        return self._table("quantiles", names, _Question(candles, horizons, as_of, symbols, seed))

    @property
    def _tasks(self) -> list[tuple[str, int]]:
        return list(zip(self.spec.task_names, self.spec.task_sizes, strict=True))

    def _table(self, what: str, names: list[str], asked: _Question) -> pd.DataFrame:
        import pandas as pd

        chosen = self._horizon_columns(asked.horizons)
        known = asked.known()
        rows = rows_to_forecast(
            known, asked.as_of, asked.symbols, min_history=self.min_history, model_id=self.model_id
        )
        histories = Histories.of(known, (row.series.symbol for row in rows), self.tokenizer, self.spec)
        with self._lock:
            said_NHV = np.concatenate(
                [
                    self._read(what, rows[start : start + _ROWS_A_CHUNK], histories, asked.seed)
                    for start in range(0, len(rows), _ROWS_A_CHUNK)
                ]
            )
        stamps = np.array([row.as_of for row in rows], dtype="datetime64[ns]")
        order = np.lexsort((np.array([row.order for row in rows]), stamps))
        h = len(chosen)
        frame = {
            "symbol": [rows[i].series.symbol for i in order for _ in chosen],
            "as_of": np.repeat(stamps[order], h),
            "horizon": np.tile(np.array(self.spec.horizons)[chosen], len(order)),
        }
        values = said_NHV[order][:, chosen].reshape(len(order) * h, -1)
        return pd.DataFrame(frame | dict(zip(names, values.T, strict=True)))

    def _horizon_columns(self, horizons: Sequence[int] | None) -> list[int]:
        known = self.spec.horizons
        asked = known if horizons is None else horizons
        for one in asked:
            if one not in known:
                raise ConfigError(f"{self.model_id} has tasks at {list(known)} bars, not at {one}")
        return [known.index(int(one)) for one in asked]

    def _read(
        self, what: str, rows: list[ForecastRow], histories: Histories, seed: int
    ) -> NDArray[np.float64]:
        """Return what a head says of a chunk of rows, (N, H, values), the mean over the passes."""
        import torch

        from marketgpt_models.passes import held_pass

        module, passes = self.module, self.config.num_passes
        prefix = histories.prefix(rows, context=self.context, num_steps=1, seed=seed)
        device = next(module.parameters()).device
        inputs = {name: torch.from_numpy(getattr(prefix, name)).to(device) for name in MODEL_INPUTS}
        said = []
        for number in range(passes):
            with (
                torch.inference_mode(),
                held_pass(module, seed=seed, number=number, num_passes=passes),
            ):
                h_ND, _ = module.decoder().begin(inputs, num_samples=1, num_steps=1)  # type: ignore[operator]
                if what == "tasks":
                    one = torch.cat(list(module.task_probabilities(h_ND).values()), dim=-1)  # type: ignore[operator]
                else:
                    one = module.quantiles(h_ND)  # type: ignore[operator]
                said.append(one.double().cpu().numpy())
        mean_NHV: NDArray[np.float64] = np.mean(said, axis=0)
        if what == "quantiles":
            scale_NH = self.tokenizer.sigma(prefix.state)[:, None] * np.sqrt(self.spec.horizons)
            mean_NHV = mean_NHV * scale_NH[..., None]
        return mean_NHV
