"""Our own universes; each is the TOML file beside this module."""

from __future__ import annotations

from typing import ClassVar

from marketgpt_data_sources.universes.base import TomlUniverse


class Commodity(TomlUniverse):
    """Futures and funds of raw materials."""

    file: ClassVar[str] = "commodity.toml"


class Crypto(TomlUniverse):
    """Coins against the dollar."""

    file: ClassVar[str] = "crypto.toml"


class EmergingMarkets(TomlUniverse):
    """Large companies of emerging markets."""

    file: ClassVar[str] = "em.toml"


class Europe(TomlUniverse):
    """Large companies of Europe."""

    file: ClassVar[str] = "eu.toml"


class FullMarket(TomlUniverse):
    """All five markets."""

    file: ClassVar[str] = "full-market.toml"


class Reduced(TomlUniverse):
    """A hundred of four markets."""

    file: ClassVar[str] = "reduced.toml"


class UnitedStates(TomlUniverse):
    """Large companies of the US."""

    file: ClassVar[str] = "us.toml"


class UnitedStatesTech(TomlUniverse):
    """Technology companies of the US."""

    file: ClassVar[str] = "us-tech.toml"
