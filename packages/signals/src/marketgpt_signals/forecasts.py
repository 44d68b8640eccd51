"""Reading what ``marketgpt forecast --out`` wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from marketgpt_core.errors import ConfigError, DataError, MarketGPTError
from marketgpt_core.forecast import Forecast
from marketgpt_core.symbols import check_symbol
from marketgpt_core.times import iso, to_datetime

_AGE = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
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


def parse_age(text: str, *, where: str) -> timedelta:
    """Turn ``90m``, ``12h``, ``3d`` or ``1w`` into a duration.

    Raises:
        ConfigError: for anything else; it names ``where``.
    """
    match = _AGE.fullmatch(text)
    if not match:
        raise ConfigError(f"{text[:40]!r} is not an age (from {where}): write 90m, 12h, 3d or 1w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def refuse_old(forecasts: Sequence[Forecast], max_age: timedelta, now: datetime, *, where: str) -> None:
    """Refuse forecasts of a symbol whose newest is too old, or of after now.

    A forecast's age counts from its ``as_of``, the stamp (open) of the last candle it used.

    Args:
        forecasts: All that were read; older ones beside a new one are history.
        max_age: The most that is allowed.
        now: Aware.
        where: Where they come from, for the message.

    Raises:
        DataError: for the first such symbol; it tells how many there are.
    """
    newest: dict[str, np.datetime64] = {}
    for forecast in forecasts:
        for symbol, as_of in zip(forecast.symbols, forecast.as_of, strict=True):
            newest[symbol] = max(newest.get(symbol, as_of), as_of)
    ages = {symbol: now - to_datetime(as_of) for symbol, as_of in newest.items()}
    refused = [symbol for symbol, age in ages.items() if not timedelta(0) <= age <= max_age]
    if not refused:
        return
    symbol, others = refused[0], len(refused) - 1
    more = f" (and {others} symbols more)" if others else ""
    allowed, age = max_age / timedelta(days=1), ages[symbol]
    told = "which has not come yet" if age < timedelta(0) else f"{age.days} days ago; {allowed:g} are allowed"
    raise DataError(f"{where}: the newest forecast of {symbol} is of {iso(newest[symbol])}, {told}{more}")


def only_symbols(forecast: Forecast, names: str | None, *, where: str) -> Forecast:
    """Return the rows of some symbols.

    Args:
        forecast: Forecasts.
        names: Comma separated; None keeps all.
        where: Where they came from, for messages.

    Raises:
        DataError: for what is no symbol, and one without forecasts.
    """
    if names is None:
        return forecast
    wanted = {check_symbol(name.strip(), where=where) for name in names.split(",")}
    lacking = sorted(wanted - set(forecast.symbols))
    if lacking:
        raise DataError(f"no forecasts of {', '.join(lacking)} (from {where})")
    return forecast.rows(np.isin(np.array(forecast.symbols), list(wanted)))
