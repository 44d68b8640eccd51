"""A tokenizer's file: written exactly, read as if an enemy had written it.

One JSON file, floats exact, is small and readable for vocabularies of usual size (80 kB for the default). A
vocabulary of more than 1,024 tokens keeps its arrays in a safetensors file of the same name beside it, whose
sha256 the JSON names: the pair stays one identity, and one without the other or with another's is refused.
The fingerprint is of the content, wherever it is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from marketgpt_core.config import load_config
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.files import atomic_path, write_text
from marketgpt_core.tokens import MOST_TOKENIZER_BYTES, read_tokenizer_json
from marketgpt_tokenizer.bins import NUM_KNOTS, ChannelBins
from marketgpt_tokenizer.channels import CHANNELS
from marketgpt_tokenizer.ohlc_config import OHLCConfig
from marketgpt_tokenizer.volume import VOLUME

if TYPE_CHECKING:
    from marketgpt_tokenizer.ohlc import OHLCTokenizer

# The largest configuration allowed stays below.
_MAX_BINS = 8192
_MOST_TOKENS_IN_JSON = 1024
# So that it lies in the same folder.
_PLAIN_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,200}\.safetensors$"
_PARTS = ("edges", "knots", "mass")

_Knots = Annotated[list[FiniteFloat], Field(min_length=NUM_KNOTS, max_length=NUM_KNOTS)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """Base of what stands in the file: nothing unknown, no type taken for another."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Channel(Part):
    edges: list[FiniteFloat] = Field(max_length=_MAX_BINS)
    knots: list[_Knots] = Field(min_length=1, max_length=_MAX_BINS + 1)
    mass: list[_Share] = Field(min_length=1, max_length=_MAX_BINS + 1)


class _Channels(Part):
    gap: _Channel
    body: _Channel
    up: _Channel
    low: _Channel
    volume: _Channel | None = None


class _Arrays(Part):
    file: Annotated[str, Field(pattern=_PLAIN_NAME)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Content(Part):
    """What every file of the OHLC family holds."""

    format: Literal[1]
    config: dict[str, object]
    prior_variance: Annotated[float, Field(ge=0.0, le=1e7)]
    prior_volume_variance: Annotated[float, Field(ge=0.0, le=1e7)] = 0.0
    channels: _Channels | None = None
    arrays: _Arrays | None = None


class OHLCContent(Content):
    """The file of ``ohlc``."""

    kind: Literal["ohlc"]


S = TypeVar("S", bound=Content)
C = TypeVar("C", bound=OHLCConfig)


@dataclass(frozen=True)
class Parts(Generic[S, C]):
    """What a file held, checked."""

    content: S
    config: C
    bins: tuple[ChannelBins, ...]
    prior_variance: float
    prior_volume_variance: float


def content_of(tokenizer: OHLCTokenizer) -> dict[str, Any]:
    """Return all that decides tokens and decoded candles, as JSON values."""
    names = tokenizer.channel_names
    channels = {
        name: {part: getattr(one, part).tolist() for part in _PARTS}
        for name, one in zip(names, tokenizer.bins, strict=True)
    }
    volume = {"prior_volume_variance": tokenizer.prior_volume_variance} if VOLUME in names else {}
    return {
        "kind": tokenizer.kind,
        "format": 1,
        "config": tokenizer.config.dumped(),
        "prior_variance": tokenizer.prior_variance,
        **volume,
        "channels": channels,
    }


def fingerprint_of(content: dict[str, Any]) -> str:
    """Return the hex sha256 of the content in canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write(content: dict[str, Any], path: Path) -> None:
    """Write the JSON file and, for a large vocabulary, the safetensors file before it."""
    channels = content["channels"]
    if sum(len(channel["mass"]) for channel in channels.values()) > _MOST_TOKENS_IN_JSON:
        beside = path.with_suffix(".safetensors")
        if not re.fullmatch(_PLAIN_NAME, beside.name):
            raise DataError(f"{path} is no name for a tokenizer: its arrays' would not match {_PLAIN_NAME}")
        arrays = {"file": beside.name, "sha256": _write_arrays(channels, beside)}
        content = {**{name: part for name, part in content.items() if name != "channels"}, "arrays": arrays}
    write_text(path, json.dumps(content, allow_nan=False) + "\n")


def _write_arrays(channels: dict[str, Any], path: Path) -> str:
    from safetensors.numpy import save

    tensors = {
        f"{name}.{part}": np.array(channel[part], dtype=np.float64)
        for name, channel in channels.items()
        for part in _PARTS
    }
    data = save(tensors)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def read(path: Path, schema: type[S], config_class: type[C]) -> Parts[S, C]:
    """Return the content, the configuration, the bins by channel and the priors.

    Raises:
        DataError: one line that says what is wrong with the file.
    """
    value = read_tokenizer_json(path)
    if not isinstance(value, dict):
        raise DataError(f"{path} is no tokenizer: it holds no JSON object")
    try:
        content = load_config(schema, value, where=str(path))
        config = load_config(config_class, content.config, where=f"config in {path}")
    except ConfigError as error:
        raise DataError(f"not an OHLC tokenizer: {error}") from error
    names = (*CHANNELS, VOLUME) if config.volume_bins else CHANNELS
    if (content.channels is None) == (content.arrays is None):
        raise DataError(f"{path} is no OHLC tokenizer: it holds either channels or the name of their arrays")
    if content.arrays is not None:
        arrays = _read_arrays(path.parent / content.arrays.file, content.arrays.sha256, names)
    else:
        arrays = _listed(content, names, path)
    bins = tuple(_bins(*arrays[name], name=name, clip=config.clip, path=path) for name in names)
    return Parts(content, config, bins, content.prior_variance, content.prior_volume_variance)


_Arrays3 = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _listed(content: Content, names: tuple[str, ...], path: Path) -> dict[str, _Arrays3]:
    found = {name: getattr(content.channels, name) for name in (*CHANNELS, VOLUME)}
    given = tuple(name for name, channel in found.items() if channel is not None)
    if given != names:
        raise DataError(
            f"{path} is no OHLC tokenizer: its options make the channels {', '.join(names)}, it holds "
            f"{', '.join(given)}"
        )
    return {
        name: tuple(np.array(getattr(found[name], part), dtype=np.float64) for part in _PARTS)  # type: ignore[misc]
        for name in names
    }


def _read_arrays(path: Path, sha256: str, names: tuple[str, ...]) -> dict[str, _Arrays3]:
    """Return edges, knots and mass by channel from a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path} holds no arrays: it is not a regular file")
        if path.stat().st_size > MOST_TOKENIZER_BYTES:
            raise DataError(f"{path} holds no arrays: it has more than {MOST_TOKENIZER_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path} is not the file its tokenizer was written with: the sha256 differs")
    try:
        tensors = load(data)
    # A header that lies, a type numpy lacks, a shape that does not fit its bytes.
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no safetensors file: {error}") from error
    wanted = {f"{name}.{part}" for name in names for part in _PARTS}
    if tensors.keys() != wanted:
        wrong = ", ".join(sorted(wanted ^ tensors.keys())[:3])[:120]
        raise DataError(f"{path} does not hold the arrays of {', '.join(names)}: {wrong}")
    for name, tensor in tensors.items():
        width = (NUM_KNOTS,) if name.endswith(".knots") else ()
        if tensor.dtype != np.float64 or tensor.ndim != 1 + len(width) or tensor.shape[1:] != width:
            raise DataError(f"{path}: {name} has shape {tensor.shape} and type {tensor.dtype}")
        if len(tensor) > _MAX_BINS + 1 or not np.isfinite(tensor).all():
            raise DataError(f"{path}: {name} is not finite or longer than {_MAX_BINS + 1}")
    return {name: tuple(tensors[f"{name}.{part}"] for part in _PARTS) for name in names}  # type: ignore[misc]


def _bins(
    edges: NDArray[np.float64],
    knots: NDArray[np.float64],
    mass: NDArray[np.float64],
    *,
    name: str,
    clip: float,
    path: Path,
) -> ChannelBins:
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
    elif (mass < 0).any() or abs(mass.sum() - 1.0) > 1e-6:  # noqa: PLR2004 - rounding of thousands of shares
        problem = f"the masses sum to {mass.sum():g}, not to 1"
    if problem:
        raise DataError(f"{path} is no OHLC tokenizer: channel {name}: {problem}")
    return found
