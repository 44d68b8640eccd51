"""Shapes of the presets, in one place: plain data, which brings neither torch nor pydantic.

A ladder from 0.3 to 4 million parameters, because 36 thousand candles do not feed 25 million; and the three
shapes of the presets ``crypto``, ``reduced`` and ``full-market``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from marketgpt_core.errors import ConfigError, hint


@dataclass(frozen=True)
class Shape:
    """How large a preset's model is.

    Attributes:
        variant: Name of the variant it was made for; others take what they have of its options.
        options: Of the variant's ``Config``.
    """

    variant: str
    options: Mapping[str, Any]


def _market_gpt(num_layers: int, dim: int, num_heads: int, num_kv_heads: int, **rest: float) -> Shape:
    options = {"num_layers": num_layers, "dim": dim, "num_heads": num_heads, "num_kv_heads": num_kv_heads}
    return Shape("market_gpt", MappingProxyType({**options, **rest}))


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "tiny": _market_gpt(3, 80, 4, 1, head_dim_candle=96, dropout=0.1, context=128),
        "small": _market_gpt(5, 128, 4, 1, head_dim_candle=128, dropout=0.1, context=128),
        "medium": _market_gpt(5, 256, 8, 2, head_dim_candle=256, dropout=0.15, context=128),
        "crypto": _market_gpt(6, 256, 8, 8, head_dim_candle=256, dropout=0.2, context=128),
        "reduced": _market_gpt(8, 512, 8, 8, head_dim_candle=256, dropout=0.2, context=256),
        "full-market": _market_gpt(12, 768, 12, 12, head_dim_candle=256, dropout=0.2, context=512),
    }
)


def shape(name: str) -> Shape:
    """Return the shape of a preset.

    Raises:
        ConfigError: for a name that is none; the message names the closest.
    """
    if name not in SHAPES:
        raise ConfigError(f"unknown preset {name!r}; {hint(name, list(SHAPES))}")
    return SHAPES[name]
