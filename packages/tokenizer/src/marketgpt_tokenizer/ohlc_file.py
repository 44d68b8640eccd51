"""Reading an OHLC tokenizer's file as if an enemy had written it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from marketgpt_core.config import load_config
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.files import read_json
from marketgpt_tokenizer.bins import NUM_KNOTS, ChannelBins
from marketgpt_tokenizer.channels import CHANNELS
from marketgpt_tokenizer.ohlc import OHLCTokenizer

# The largest configuration allowed stays far below.
_MAX_BYTES = 64 * 1024 * 1024
_MAX_BINS = 8192

_Knots = Annotated[list[FiniteFloat], Field(min_length=NUM_KNOTS, max_length=NUM_KNOTS)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Channel(_Part):
    edges: list[FiniteFloat] = Field(max_length=_MAX_BINS)
    knots: list[_Knots] = Field(min_length=1, max_length=_MAX_BINS + 1)
    mass: list[_Share] = Field(min_length=1, max_length=_MAX_BINS + 1)


class _Channels(_Part):
    gap: _Channel
    body: _Channel
    up: _Channel
    low: _Channel


class _Content(_Part):
    kind: Literal["ohlc"]
    format: Literal[1]
    config: dict[str, object]
    prior_variance: Annotated[float, Field(ge=0.0, le=1e7)]
    channels: _Channels


def read_parts(path: Path) -> tuple[OHLCTokenizer.Config, tuple[ChannelBins, ...], float]:
    """Return the configuration, the bins by channel and the prior variance.

    Raises:
        DataError: one line that says what is wrong with the file.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is no tokenizer: it has more than {_MAX_BYTES} bytes")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path} is no tokenizer: it holds no JSON object")
    try:
        content = load_config(_Content, value, where=str(path))
        config = load_config(OHLCTokenizer.Config, content.config, where=f"config in {path}")
    except ConfigError as error:
        raise DataError(f"not an OHLC tokenizer: {error}") from error
    bins = tuple(_bins(getattr(content.channels, name), name, config.clip, path) for name in CHANNELS)
    return config, bins, content.prior_variance


def _bins(channel: _Channel, name: str, clip: float, path: Path) -> ChannelBins:
    edges, knots, mass = (
        np.array(part, dtype=np.float64) for part in (channel.edges, channel.knots, channel.mass)
    )
    found = ChannelBins(edges=edges, knots=knots, mass=mass)
    problem = ""
    if not len(knots) == len(mass) == len(edges) + 1:
        problem = f"{len(edges)} edges, {len(knots)} rows of knots and {len(mass)} masses do not fit"
    elif (np.diff(edges) <= 0).any():
        problem = "the edges do not increase"
    elif (np.diff(knots, axis=1) < 0).any():
        problem = "the knots of a bin decrease"
    elif (found.encode(knots) != np.arange(len(found))[:, None]).any() or (np.abs(knots) > clip).any():
        problem = "knots lie outside their bin"
    elif name in {"up", "low"} and (knots < 0).any():
        problem = "a wick is negative"
    elif knots[found.atom].any():
        problem = "the bin of zero is not an atom"
    if problem:
        raise DataError(f"{path} is no OHLC tokenizer: channel {name}: {problem}")
    return found
