"""GPT-style candle models, cached generation and calibrated forecasts.

Importing this package is cheap: neither numpy, pydantic nor torch is loaded before a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_models.base import CandleModel, InputSpec, ModelVariant
    from marketgpt_models.checkpoint import load_model, save_model
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.ensemble import EnsembleForecaster, make_ensemble
    from marketgpt_models.features import SeriesFeatures, calendar_after, features_of
    from marketgpt_models.forecaster import GPTForecaster, load_forecaster
    from marketgpt_models.generation import sample_paths
    from marketgpt_models.gpt import MarketGPT, MarketGPTMultiAsset
    from marketgpt_models.gpt_variant import MarketGPTVariant
    from marketgpt_models.horizon_bins import HorizonBins
    from marketgpt_models.multitask import MultiTaskTransformer
    from marketgpt_models.multitask_forecaster import MultiTaskForecaster
    from marketgpt_models.network import CandleNetwork
    from marketgpt_models.pretrained import Forecaster

_HOME = {
    "CandleModel": "base",
    "CandleNetwork": "network",
    "Covariates": "covariates",
    "EnsembleForecaster": "ensemble",
    "Forecaster": "pretrained",
    "GPTForecaster": "forecaster",
    "HorizonBins": "horizon_bins",
    "InputSpec": "base",
    "MarketGPT": "gpt",
    "MarketGPTMultiAsset": "gpt",
    "MarketGPTVariant": "gpt_variant",
    "ModelVariant": "base",
    "MultiTaskForecaster": "multitask_forecaster",
    "MultiTaskTransformer": "multitask",
    "SeriesFeatures": "features",
    "calendar_after": "features",
    "features_of": "features",
    "load_forecaster": "forecaster",
    "load_model": "checkpoint",
    "make_ensemble": "ensemble",
    "sample_paths": "generation",
    "save_model": "checkpoint",
}

__all__ = [
    "CandleModel",
    "CandleNetwork",
    "Covariates",
    "EnsembleForecaster",
    "Forecaster",
    "GPTForecaster",
    "HorizonBins",
    "InputSpec",
    "MarketGPT",
    "MarketGPTMultiAsset",
    "MarketGPTVariant",
    "ModelVariant",
    "MultiTaskForecaster",
    "MultiTaskTransformer",
    "SeriesFeatures",
    "calendar_after",
    "features_of",
    "load_forecaster",
    "load_model",
    "make_ensemble",
    "sample_paths",
    "save_model",
]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
