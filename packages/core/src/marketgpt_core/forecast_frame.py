"""Forecasts as pandas frames, the shape ``marketgpt forecast --out`` writes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast, quantile_name
from marketgpt_core.interval import Interval

_SCALARS = ("p_up", "epistemic", "aleatoric")
_LABELS = ("interval", "model_id", "data_fingerprint")


def forecast_to_frame(forecast: Forecast) -> pd.DataFrame:
    """Return one row per (symbol, as-of) pair and horizon."""
    n, h = forecast.p_up.shape
    columns: dict[str, object] = {
        "symbol": np.repeat(np.array(forecast.symbols, dtype=object), h),
        "as_of": pd.DatetimeIndex(np.repeat(forecast.as_of, h), tz="UTC"),
        "horizon": np.tile(forecast.horizons, n),
        "p_up": forecast.p_up.ravel(),
        "epistemic": forecast.epistemic.ravel(),
    }
    for position, level in enumerate(forecast.levels):
        columns[quantile_name(level)] = forecast.quantiles[..., position].ravel()
    columns["aleatoric"] = forecast.aleatoric.ravel()
    columns["close"] = np.repeat(forecast.close, h)
    columns |= {name: str(getattr(forecast, name)) for name in _LABELS}
    if forecast.caveats:
        columns["caveat"] = np.repeat(np.array(forecast.caveats, dtype=object), h)
    return pd.DataFrame(columns)


def forecast_from_frame(frame: pd.DataFrame) -> Forecast:
    """Read what :func:`forecast_to_frame` wrote; see :meth:`Forecast.from_frame`."""
    names = [name for name in frame.columns if re.fullmatch(r"q\d{3}", str(name))]
    needed = ("symbol", "as_of", "horizon", "close", *_SCALARS, *_LABELS)
    missing = [name for name in needed if name not in frame.columns]
    if missing or not names:
        raise DataError(f"not a forecast table: it lacks {', '.join(missing or ['quantiles'])}")
    if frame.empty:
        raise DataError("the forecast table is empty")
    frame = frame.sort_values(["as_of", "symbol", "horizon"], kind="stable")
    horizons = np.sort(frame["horizon"].unique()).astype(np.int64)
    h = len(horizons)
    n = len(frame.drop_duplicates(["symbol", "as_of"]))
    if n * h != len(frame) or not np.array_equal(frame["horizon"].to_numpy(), np.tile(horizons, n)):
        raise DataError("not a forecast table: a (symbol, as_of) pair lacks a horizon or has one twice")
    first = frame.iloc[::h]
    as_of = pd.DatetimeIndex(pd.to_datetime(first["as_of"], utc=True)).tz_localize(None)
    labels = {name: str(frame[name].iloc[0]) for name in _LABELS}
    return Forecast(
        symbols=tuple(str(symbol) for symbol in first["symbol"]),
        as_of=as_of.to_numpy().astype("datetime64[ns]"),
        close=first["close"].to_numpy(dtype=np.float64),
        horizons=horizons,
        levels=np.array([int(name[1:]) / 1000 for name in names]),
        quantiles=frame[names].to_numpy(dtype=np.float64).reshape(n, h, len(names)),
        interval=Interval.parse(labels["interval"]),
        model_id=labels["model_id"],
        data_fingerprint=labels["data_fingerprint"],
        caveats=tuple(str(one) for one in first["caveat"].fillna("")) if "caveat" in frame else (),
        **{name: frame[name].to_numpy(dtype=np.float64).reshape(n, h) for name in _SCALARS},
    )
