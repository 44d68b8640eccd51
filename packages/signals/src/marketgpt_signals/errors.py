"""The one error of this package."""

from __future__ import annotations

from marketgpt_core.errors import DataError


class LedgerError(DataError):
    """A ledger cannot be opened, read or written, or what it holds contradicts what is to be written."""
