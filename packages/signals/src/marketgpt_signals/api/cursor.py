"""Cursors: where a page ended, as opaque text."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from marketgpt_signals.queries import Position

_LARGEST = 2**63 - 1


def write_cursor(position: Position) -> str:
    """Return a position as text for a URL."""
    as_of, seq = position
    plain = f"{as_of.astimezone(UTC).isoformat()}|{seq}"
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Position:
    """Return the position a cursor stands for.

    Raises:
        ValueError: for anything :func:`write_cursor` did not write.
    """
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        moment, _, number = plain.partition("|")
        position = datetime.fromisoformat(moment), int(number)
        if write_cursor(position) != text or not 0 <= position[1] <= _LARGEST:
            raise ValueError("not ours")  # noqa: TRY301 - joins the others below
    except (ValueError, OverflowError, binascii.Error):
        raise ValueError("not a cursor of this API") from None
    return position
