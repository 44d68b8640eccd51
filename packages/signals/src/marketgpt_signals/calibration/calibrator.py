"""A calibration: curves by market and horizon, what they were fitted on, and until when. G groups."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from marketgpt_core.config import Config
from marketgpt_core.errors import DataError
from marketgpt_core.files import read_json, write_json
from marketgpt_core.forecast import Forecast
from marketgpt_core.times import Moment, iso, to_datetime64
from marketgpt_signals.calibration.curves import GRID, Method, fit_curve, read_curve
from marketgpt_signals.calibration.samples import Samples, independent_dates, market_of
from marketgpt_signals.known import moments_known

_FORMAT = 1
MARK = "+cal-"


class CalibrationConfig(Config):
    """How to calibrate.

    Attributes:
        method: ``platt``, ``beta`` or ``isotonic``.
        min_samples: Fewer outcomes of a group leave it as forecast.
        min_dates: Fewer dates that do not overlap leave it as forecast, too.
        shrinkage: The curve weighs n / (n + shrinkage) against the identity, n dates that do not overlap.
    """

    method: Method = "platt"
    min_samples: int = Field(default=100, ge=1)
    min_dates: int = Field(default=20, ge=1)
    shrinkage: float = Field(default=50.0, ge=0)


@dataclass(frozen=True)
class Group:
    """The curve of one market and horizon.

    Attributes:
        market: See :func:`marketgpt_signals.calibration.samples.market_of`.
        horizon: Bars.
        num_samples: Outcomes known.
        num_dates: Dates that do not overlap.
        weight: Of the fitted curve against the identity, 0 where there was too little.
        curve: length 101: calibrated P(up) at 0, 0.01 ... 1, shrunk.
    """

    market: str
    horizon: int
    num_samples: int
    num_dates: int
    weight: float
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """Curves fitted on outcomes known by a moment.

    Attributes:
        until: When the newest outcome used was known; ISO, UTC. Nothing later went in.
        model_id: Whose forecasts it puts right.
        config: How it was fitted.
        groups: Curves; a market or horizon without one stays as forecast.
    """

    until: str
    model_id: str
    config: CalibrationConfig
    groups: tuple[Group, ...]

    def _body(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "until": self.until,
            "model_id": self.model_id,
            "config": self.config.model_dump(),
            "groups": [asdict(group) for group in self.groups],
        }

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of all of it."""
        text = json.dumps(self._body(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, path: Path) -> Path:
        """Write it as JSON, with its fingerprint."""
        return write_json(path, json.loads(json.dumps(self._body())) | {"fingerprint": self.fingerprint})

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: when it is missing, no calibration, or was changed since.
        """
        value = read_json(path)
        try:
            made = _from_json(value)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise DataError(f"{path} is no calibration: {type(error).__name__} {error}") from error
        told = value.get("fingerprint") if isinstance(value, dict) else None
        if told != made.fingerprint:
            raise DataError(f"{path} was changed: its fingerprint is {made.fingerprint}, not {told}")
        return made

    def probabilities(
        self, market: NDArray[np.str_], horizon: NDArray[np.int64], p_up: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return calibrated probabilities, shape (N,); groups without a curve stay as they are."""
        result = p_up.copy()
        for group in self.groups:
            mine = (market == group.market) & (horizon == group.horizon)
            result[mine] = read_curve(np.array(group.curve), p_up[mine])
        return result

    def apply(self, forecast: Forecast) -> Forecast:
        """Return the forecast with P(up) put right; its law, and so the bands, stay as they are.

        The model id gains ``+cal-`` and the fingerprint's first digits: a ledger tells both apart.

        Raises:
            DataError: for another model, or as-ofs before ``until``: the curves know what came of those.
        """
        if forecast.model_id != self.model_id:
            raise DataError(f"the calibration is of {self.model_id}, the forecast of {forecast.model_id}")
        early = moments_known(forecast) < to_datetime64(self.until)
        if early.any():
            raise DataError(
                f"the calibration knows outcomes up to {self.until}; a forecast as of "
                f"{iso(forecast.as_of[early].min())} would be put right by its own future: "
                "fit one with an earlier --as-of"
            )
        n, h = forecast.p_up.shape
        market = np.repeat(np.array([market_of(symbol) for symbol in forecast.symbols], dtype=np.str_), h)
        flat = self.probabilities(market, np.tile(forecast.horizons, n), forecast.p_up.ravel())
        model_id = f"{forecast.model_id}{MARK}{self.fingerprint[:12]}"
        return replace(forecast, p_up=flat.reshape(n, h), model_id=model_id)


def fit(samples: Samples, *, until: Moment, model_id: str, config: CalibrationConfig) -> Calibration:
    """Fit curves by market and horizon on the outcomes known by a moment, and on nothing else.

    Args:
        samples: Forecasts with their outcomes; those known later are not looked at.
        until: The moment.
        model_id: Whose forecasts they are.
        config: How.
    """
    known = samples.rows(samples.known_at <= to_datetime64(until))
    pairs = sorted(set(zip(known.market.tolist(), known.horizon.tolist(), strict=True)))
    groups = tuple(
        _group(known.rows((known.market == market) & (known.horizon == horizon)), market, horizon, config)
        for market, horizon in pairs
    )
    newest = known.known_at.max() if len(known) else until
    return Calibration(iso(newest), model_id, config, groups)


def _group(mine: Samples, market: str, horizon: int, config: CalibrationConfig) -> Group:
    dates = independent_dates(mine)
    weight = dates / (dates + config.shrinkage) if dates + config.shrinkage > 0 else 0.0
    if len(mine) < config.min_samples or dates < config.min_dates:
        weight = 0.0
    curve = GRID.copy()
    if weight:
        curve = (1 - weight) * GRID + weight * fit_curve(mine.p_up, mine.up, config.method)
    rounded = tuple(round(float(value), 12) for value in curve)
    return Group(market, horizon, len(mine), dates, weight, rounded)


def _from_json(value: object) -> Calibration:
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    if value["format"] != _FORMAT:
        raise ValueError(f"format {value['format']!r}, not {_FORMAT}")
    groups = tuple(
        Group(**{**group, "curve": tuple(map(float, group["curve"]))}) for group in value["groups"]
    )
    for group in groups:
        curve = np.array(group.curve)
        if curve.shape != GRID.shape or not ((curve >= 0) & (curve <= 1)).all() or np.any(np.diff(curve) < 0):
            raise ValueError(f"the curve of {group.market}, {group.horizon} bars is none")
    until = iso(to_datetime64(str(value["until"])))
    return Calibration(until, str(value["model_id"]), CalibrationConfig(**value["config"]), groups)
