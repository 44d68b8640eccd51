"""What the API takes and gives. The client gives the same."""

from __future__ import annotations

from marketgpt_signals.api.models.backtests import (
    BacktestRequest,
    JobDetail,
    JobOut,
    JobPage,
    JobQuery,
    JobStatus,
)
from marketgpt_signals.api.models.bands import BandsAnswer, BandSetOut, BandsQuery
from marketgpt_signals.api.models.forecasts import ForecastOut, ForecastPage, ForecastQuery
from marketgpt_signals.api.models.health import Counts, Health, Live, Ready
from marketgpt_signals.api.models.known_models import ModelList, ModelOut
from marketgpt_signals.api.models.queries import LatestQuery, OutcomeQuery, SignalQuery, StreamQuery
from marketgpt_signals.api.models.signals import (
    BandsOut,
    OutcomeOut,
    ResolvedOut,
    ResolvedPage,
    SignalOut,
    SignalPage,
)

__all__ = [
    "BacktestRequest",
    "BandSetOut",
    "BandsAnswer",
    "BandsOut",
    "BandsQuery",
    "Counts",
    "ForecastOut",
    "ForecastPage",
    "ForecastQuery",
    "Health",
    "JobDetail",
    "JobOut",
    "JobPage",
    "JobQuery",
    "JobStatus",
    "LatestQuery",
    "Live",
    "ModelList",
    "ModelOut",
    "OutcomeOut",
    "OutcomeQuery",
    "Ready",
    "ResolvedOut",
    "ResolvedPage",
    "SignalOut",
    "SignalPage",
    "SignalQuery",
    "StreamQuery",
]
