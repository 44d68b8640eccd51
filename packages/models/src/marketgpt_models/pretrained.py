"""A trained run in the hands of a user: candles as they come from pandas, a forecast out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_core.forecast import Forecaster as ForecasterProtocol
from marketgpt_core.times import Moment
from marketgpt_models.forecaster import load_forecaster

if TYPE_CHECKING:
    import pandas as pd


class Forecaster:
    """A trained run, whatever its variant, a plugin's or an ensemble too.

    It is itself a :class:`marketgpt_core.forecast.Forecaster`, and takes DataFrames where that takes candles.

    Args:
        inner: What forecasts.
    """

    def __init__(self, inner: ForecasterProtocol) -> None:
        self.inner = inner

    @classmethod
    def from_pretrained(cls, path: Path | str, **options: Any) -> Self:  # noqa: ANN401 - of the variant's own forecaster
        """Open a run's folder; see :func:`marketgpt_models.forecaster.load_forecaster`.

        Raises:
            RunError: when the folder is no run or was tampered with.
            PluginError: when no installed plugin provides the variant.
            ConfigError: for an option that does not exist or does not fit.
        """
        return cls(load_forecaster(path, **options))

    @property
    def model_id(self) -> str:
        """Identity of the model."""
        return self.inner.model_id

    @property
    def min_history(self) -> int:
        """Candles a symbol needs before its first forecast."""
        return self.inner.min_history

    @property
    def reads_market(self) -> bool:
        """Whether other symbols' candles make its forecasts better."""
        return bool(getattr(self.inner, "reads_market", False))

    def caveats(self, candles: Candles, symbols: Sequence[str] | None = None) -> list[str]:
        """Say what of these candles the model never saw: lines for a person."""
        asked = getattr(self.inner, "caveats", None)
        return list(asked(candles, symbols)) if asked else []

    def forecast(
        self,
        candles: Candles | pd.DataFrame,
        *,
        horizons: Sequence[int] = (1, 5, 10, 21, 42),
        as_of: Sequence[Moment] | None = None,
        symbols: Sequence[str] | None = None,
        num_samples: int = 200,
        seed: int = 0,
    ) -> Forecast:
        """Forecast symbols at every as-of date; see :class:`marketgpt_core.forecast.Forecaster`.

        Args:
            candles: Candles, or a frame as :meth:`marketgpt_core.candles.Candles.from_frame` takes it:
                yfinance's, or one row a symbol and time.
            horizons: Bars ahead, increasing.
            as_of: Moments; None means each symbol's last candle.
            symbols: Which to forecast; None means all.
            num_samples: Paths a pair.
            seed: Same seed, same forecast.

        Raises:
            DataError: for candles that cannot be, or when no pair has enough history.
        """
        known = candles if isinstance(candles, Candles) else Candles.from_frame(candles)
        return self.inner.forecast(
            known, horizons=horizons, as_of=as_of, symbols=symbols, num_samples=num_samples, seed=seed
        )

    def predict(self, candles: Candles | pd.DataFrame, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - of forecast
        """Return :meth:`forecast` as a frame: one row a symbol, as-of time and horizon."""
        return self.forecast(candles, **options).to_frame()
