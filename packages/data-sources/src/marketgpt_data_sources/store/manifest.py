"""The manifest of a shelf: which file holds the candles of each symbol, and what is known about it.

A manifest is untrusted input: somebody may have edited or replaced it. It names no paths - a file's name
follows from the symbol and the hash of its content - so it cannot lead out of its folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, ValidationError

from marketgpt_core.config import Config
from marketgpt_core.errors import DataError, FetchReason, MarketGPTError
from marketgpt_core.files import write_text
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import to_datetime64
from marketgpt_data_sources.store.layout import NO_SYMBOL, Shelf

FORMAT = 1
# 600 symbols take 0.3 MB; what is larger than this was not written by us.
_MOST_BYTES = 256 * 2**20
_MOST_OF_MESSAGE = 500
_MOST_SHOWN = 80
_STAMP = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{9})?)?")


def _read_stamp(value: object) -> np.datetime64:
    if isinstance(value, np.datetime64):
        return to_datetime64(value)
    if not (isinstance(value, str) and _STAMP.fullmatch(value)):
        raise ValueError("a stamp was expected, as 2024-12-31 or 2024-12-31T15:30:00")
    return _stamp_of(value)


# Most symbols of a manifest end on the same day.
@lru_cache(maxsize=4096)
def _stamp_of(text: str) -> np.datetime64:
    return to_datetime64(np.datetime64(text))


@lru_cache(maxsize=4096)
def _write_stamp(value: np.datetime64) -> str:
    """Return the shortest ISO text that reads back to the same nanosecond."""
    short = (value.astype(f"datetime64[{unit}]") for unit in ("D", "s"))
    return str(next((one for one in short if one == value), value))


def _check_key(symbol: str) -> str:
    return symbol if symbol == NO_SYMBOL else check_symbol(symbol)


def one_line(text: str) -> str:
    """Return a text of any origin as one printable line of bounded length."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MOST_OF_MESSAGE]


Symbol = Annotated[str, AfterValidator(check_symbol)]
Stamp = Annotated[np.datetime64, BeforeValidator(_read_stamp), PlainSerializer(_write_stamp, return_type=str)]
MomentUTC = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Rows = Annotated[int, Field(strict=True, gt=0)]


class Entry(Config, arbitrary_types_allowed=True):
    """What a store knows of a symbol's candles.

    Attributes:
        symbol: The symbol.
        category: Market of the symbol.
        rows: Candles.
        first, last: Stamps of the first and the last candle, datetime64[ns].
        sha256: Of the file's bytes; checked whenever candles are read.
        size: Of the file, in bytes.
        fingerprint: ``Candles.fingerprint()`` of the symbol alone: the identity of the values.
        since: From when candles were asked for, UTC; None for as far back as there is.
        checked_at: When the source last answered, UTC.
    """

    symbol: Symbol
    category: Category
    rows: Rows
    first: Stamp
    last: Stamp
    sha256: Sha256
    size: Rows
    fingerprint: Sha256
    since: MomentUTC | None
    checked_at: MomentUTC


class Failure(Config):
    """Why a source gave nothing of a symbol when it was last asked.

    Attributes:
        symbol: The symbol.
        reason: What a report counts it under.
        message: One line.
        at: When, UTC.
    """

    symbol: Symbol
    reason: FetchReason
    message: Annotated[str, AfterValidator(one_line)]
    at: MomentUTC


class Quarantine(Config):
    """The file of a symbol's quarantined rows.

    Attributes:
        symbol: The symbol; ``_`` for the rows of what are no symbols.
        rows: Rows.
        sha256: Of the file's bytes.
    """

    symbol: Annotated[str, AfterValidator(_check_key)]
    rows: Rows
    sha256: Sha256


@dataclass(frozen=True)
class Manifest:
    """All a shelf knows, each by symbol."""

    candles: Mapping[str, Entry] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    quarantine: Mapping[str, Quarantine] = field(default_factory=dict)


class _File(Config):
    format: int
    source: str
    interval: Interval
    candles: list[Entry]
    failures: list[Failure]
    quarantine: list[Quarantine]


Record = TypeVar("Record", Entry, Failure, Quarantine)


def read_manifest(shelf: Shelf) -> Manifest:
    """Read the manifest of a shelf; an empty one where there is none.

    Raises:
        DataError: one line, for whatever is wrong with it.
    """
    path = shelf.manifest
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > _MOST_BYTES:
        raise DataError(f"{path} is no manifest of a store: it is larger than {_MOST_BYTES >> 20} MB")
    try:
        return _parsed(text, shelf)
    except ValidationError as error:
        raise DataError(f"{path} is no manifest of a store: {_explain(error)}") from error
    except MarketGPTError as error:
        raise DataError(f"{path} is no manifest of a store: {error}") from error


# A writer that updates one symbol after the other reads back what it has just written; the bytes tell.
@lru_cache(maxsize=8)
def _parsed(text: bytes, shelf: Shelf) -> Manifest:
    file = _File.model_validate_json(text)
    if file.format != FORMAT:
        raise DataError(f"it has format {file.format}, this version reads {FORMAT}")
    if (file.source, file.interval) != (shelf.source, shelf.interval):
        raise DataError(f"it is of {file.source[:_MOST_SHOWN]!r} at {file.interval}")
    return Manifest(_by_symbol(file.candles), _by_symbol(file.failures), _by_symbol(file.quarantine))


def _by_symbol(records: Iterable[Record]) -> Mapping[str, Record]:
    found: dict[str, Record] = {}
    for record in records:
        if record.symbol in found:
            raise DataError(f"it names {record.symbol} twice")
        found[record.symbol] = record
    return MappingProxyType(found)  # what is cached must not change


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part)[:_MOST_SHOWN] for part in first["loc"])
    given = "" if first["type"] in {"missing", "json_invalid"} else f", got {first['input']!r:.{_MOST_SHOWN}}"
    return one_line(f"{where}: {first['msg']}{given}" if where else first["msg"])


def write_manifest(shelf: Shelf, manifest: Manifest) -> None:
    """Write the manifest of a shelf, atomically, symbols sorted, one a line.

    Raises:
        RunError: when the folder cannot be written to.
    """
    sections = (
        f'"{name}": [\n{_lines(records)}]'
        for name, records in (
            ("candles", manifest.candles),
            ("failures", manifest.failures),
            ("quarantine", manifest.quarantine),
        )
    )
    head = {"format": FORMAT, "source": shelf.source, "interval": str(shelf.interval)}
    text = ",\n".join((json.dumps(head)[:-1], *sections))
    write_text(shelf.manifest, f"{text}}}\n")


def _lines(records: Mapping[str, Entry] | Mapping[str, Failure] | Mapping[str, Quarantine]) -> str:
    return ",\n".join(records[symbol].model_dump_json() for symbol in sorted(records))
