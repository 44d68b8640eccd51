"""A universe's TOML file: one reader for ours, for a plugin's and for a user's.

name = "metals"
about = "Precious metals"                 # one line; may be left out, as all that follows but groups
benchmark = "GLD"
as_of = 2026-11-22                        # when the list was drawn up
notes = "Front months, not adjusted."
include = ["crypto"]                      # registered universes whose instruments come first

[[groups]]
category = "commodity"
symbols = ["GC=F", "SI=F"]
exchange = "XCEC"                         # left out: what the symbol's shape says, and so for
currency = "USD"
calendar = "CMES"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from marketgpt_core.config import Config, load_config, read_toml
from marketgpt_core.errors import ConfigError, DataError, MarketGPTError
from marketgpt_core.exchanges import CALENDARS, exchange_of
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.universe import Instrument, Universe, open_universe

# The largest of ours has 5 kB; whoever names a file of another kind should learn it at once.
_MOST_BYTES = 1_000_000

# Names end up in tables, file names and logs.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
# Everything but control characters: it is printed.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=200)]


class Group(Config):
    """Instruments that share all but their symbols."""

    category: Category
    symbols: tuple[str, ...] = Field(min_length=1)
    exchange: str | None = Field(default=None, pattern=r"^([A-Z0-9]{4}|24/7|24/5)$")
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{2}[A-Za-z]$")
    calendar: str | None = None


class UniverseFile(Config):
    """What a file may say."""

    name: Name
    about: Line = ""
    benchmark: str | None = None
    as_of: date | None = Field(default=None, strict=True)
    notes: str = Field(default="", max_length=5000)
    include: tuple[Name, ...] = ()
    groups: tuple[Group, ...] = ()


def read_universe(path: Path) -> Universe:
    """Read a universe from a TOML file.

    Args:
        path: The file.

    Raises:
        DataError: one line that names the file and what is wrong in it.
    """
    try:
        _check_size(path)
        said = load_config(UniverseFile, read_toml(path), where=str(path))
    except ConfigError as error:
        raise DataError(str(error)) from error
    try:
        included = [one for name in said.include for one in _included(name).instruments]
        own = [one for group in said.groups for one in _instruments(group)]
        if not included and not own:
            raise DataError("it names no instruments: write [[groups]] with category and symbols")
        return Universe(
            said.name, said.about, (*included, *own), said.benchmark, said.as_of, said.notes.strip()
        )
    except MarketGPTError as error:
        raise DataError(f"{path}: {error}") from error


def _check_size(path: Path) -> None:
    try:
        if not path.is_file():
            reason = "is not a file" if path.exists() else "does not exist"
            raise DataError(f"the universe {path} {reason}")
        size = path.stat().st_size
    except (OSError, ValueError) as error:  # no permission, a name too long, a zero byte in it
        raise DataError(f"cannot read the universe {str(path)!r}: {error}") from error
    if size > _MOST_BYTES:
        raise DataError(f"{path} has {size:,} bytes; the file of a universe has at most {_MOST_BYTES:,}")


def _instruments(group: Group) -> Iterator[Instrument]:
    if group.calendar is not None:
        _check_calendar(group.calendar)
    for symbol in group.symbols:
        home = exchange_of(check_symbol(symbol), group.category)
        yield Instrument(
            symbol,
            group.category,
            group.exchange or home.name,
            group.currency or home.currency,
            group.calendar or home.calendar,
        )


def _check_calendar(name: str) -> None:
    if name in CALENDARS:
        return
    from marketgpt_core.calendar_tables import canonical  # imports exchange_calendars for unusual names

    canonical(name)


_READING: ContextVar[tuple[str, ...]] = ContextVar("universes being read", default=())


def _included(name: str) -> Universe:
    with _reading(name):
        return open_universe(name)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    above = _READING.get()
    if name in above:
        raise DataError(f"{' includes '.join((*above, name))}: a universe cannot include itself")
    token = _READING.set((*above, name))
    try:
        yield
    finally:
        _READING.reset(token)
