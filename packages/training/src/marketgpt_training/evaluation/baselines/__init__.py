"""What any serious forecaster must beat, each fitted only on what was known at the as-of date."""

from __future__ import annotations

from marketgpt_training.evaluation.baselines.autoregression import ar1
from marketgpt_training.evaluation.baselines.base import MIN_HISTORY, Baseline, ClosedLaw, Law
from marketgpt_training.evaluation.baselines.ewma import ewma_fhs, ewma_normal
from marketgpt_training.evaluation.baselines.forecasts import (
    BASELINES,
    LABELS,
    BaselineForecast,
    baseline_forecast,
    forecast_baseline,
    least_history,
    rows_by_symbol,
)
from marketgpt_training.evaluation.baselines.garch import garch_t, gjr_t
from marketgpt_training.evaluation.baselines.har import log_har
from marketgpt_training.evaluation.baselines.historical import random_walk

__all__ = [
    "BASELINES",
    "LABELS",
    "MIN_HISTORY",
    "Baseline",
    "BaselineForecast",
    "ClosedLaw",
    "Law",
    "ar1",
    "baseline_forecast",
    "ewma_fhs",
    "ewma_normal",
    "forecast_baseline",
    "garch_t",
    "gjr_t",
    "least_history",
    "log_har",
    "random_walk",
    "rows_by_symbol",
]
