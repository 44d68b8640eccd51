"""Opening a ledger without knowing whose it is: through the entry points ``marketgpt.signal_readers``.

The packages that keep ledgers (``marketgpt-signals``) name there a callable that takes a location and returns
a :class:`marketgpt_core.signal.SignalReader`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from marketgpt_core.errors import DataError, MarketGPTError, PluginError, hint

if TYPE_CHECKING:
    from marketgpt_core.signal import SignalReader

READERS_GROUP = "marketgpt.signal_readers"


def open_ledger(location: str, *, kind: str = "ledger") -> SignalReader:
    """Open a ledger for reading.

    Args:
        location: A file, or a URL the reader understands (``postgresql://...``).
        kind: Name of the entry point.

    Raises:
        PluginError: when nothing that can open it is installed, or what is installed is broken.
        DataError: when there is no such file. Whatever else the reader has to say comes from it.
    """
    if "://" not in location and not Path(location).exists():
        raise DataError(f"no ledger at {location!r}; marketgpt signals generate makes one")
    points = entry_points(group=READERS_GROUP)
    found = sorted({(point.value, point) for point in points if point.name == kind}, key=lambda pair: pair[0])
    if not found:
        known = hint(kind, {point.name for point in points})
        raise PluginError(f"nothing installed reads a {kind}: pip install marketgpt-signals ({known})")
    point = found[0][1]
    try:
        opener = point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"the reader {kind!r} ({point.value}) cannot be loaded: {reason}") from error
    try:
        return cast("SignalReader", opener(location))
    except MarketGPTError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{location!r} cannot be opened as a {kind}: {reason}") from error
