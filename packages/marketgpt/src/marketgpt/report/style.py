"""Colours and layout the figures share: one ink, one accent for the model, red and green only for sides."""

from __future__ import annotations

from marketgpt_core.web.drawing import (
    BENCHMARK,
    GRID,
    HORIZON_COLOURS,
    INK,
    LAYOUT,
    LONG,
    MODEL,
    MODEL_BAND,
    MUTED,
    SHORT,
)

__all__ = [
    "BENCHMARK",
    "GRID",
    "HORIZON_COLOURS",
    "INK",
    "LAYOUT",
    "LONG",
    "MODEL",
    "MODEL_BAND",
    "MUTED",
    "SHORT",
]
