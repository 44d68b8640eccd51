"""Reading what ``marketgpt forecast --out`` wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from marketgpt_core.errors import DataError, MarketGPTError
from marketgpt_core.forecast import Forecast

_LABELS = ("interval", "model_id", "data_fingerprint")


def read_forecasts(path: Path) -> list[Forecast]:
    """Read a Parquet file of forecasts; a table of several models or intervals becomes one forecast each.

    Raises:
        DataError: when it is missing, not Parquet, or not a table of forecasts.
    """
    if not path.is_file():
        raise DataError(f"cannot read {path}: no such file")
    try:
        frame = pd.read_parquet(path)
        labels = [name for name in _LABELS if name in frame.columns]
        pieces = [piece for _, piece in frame.groupby(labels, sort=False)] if labels else [frame]
        # An empty table has no groups; let it be refused like any other that holds no forecast.
        return [Forecast.from_frame(piece) for piece in pieces or [frame]]
    except MarketGPTError as error:
        raise DataError(f"{path}: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"{path} is not a Parquet table of forecasts: {error}") from error


def one_forecast(path: Path) -> Forecast:
    """Read a file that holds the forecasts of one model.

    Raises:
        DataError: see :func:`read_forecasts`, and when there are several.
    """
    found = read_forecasts(path)
    if len(found) > 1:
        there = ", ".join(sorted({f"{one.model_id}/{one.interval}" for one in found}))
        raise DataError(f"{path} holds the forecasts of several models or candles ({there}): give one's")
    return found[0]
