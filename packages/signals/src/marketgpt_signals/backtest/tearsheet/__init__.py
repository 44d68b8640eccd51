"""A backtest as one page that opens without a network: numbers, pictures, what was tested, what it hides."""

from __future__ import annotations

from marketgpt_signals.backtest.tearsheet.page import Tested, tearsheet, write_pages, write_tearsheet

__all__ = ["Tested", "tearsheet", "write_pages", "write_tearsheet"]
