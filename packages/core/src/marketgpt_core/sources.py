"""From the text a user writes (``parquet:DIR``, ``sample``) to an open source, whoever provides it.

The source comes through the registry, so that a stage which takes candles needs none of the packages that
provide them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketgpt_core.errors import ConfigError
from marketgpt_core.plugins.registry import registry


def parse_source(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name`` or ``name:location`` into the source's name and the options it stands for.

    Args:
        text: ``sample``, ``yfinance``, ``parquet:DIR``, ``csv:DIR``, ``synthetic:garch_t`` or what a plugin
            adds.

    Returns:
        (name, options): ``("parquet", {"location": "DIR"})``.

    Raises:
        PluginError: for an unknown name, with the close match, or when no package provides sources.
        ConfigError: for a location given to a source that takes none, or an empty one.
    """
    name, colon, location = text.strip().partition(":")
    cls = registry("data-source").load(name)
    if not colon:
        return name, {}
    if cls.location_field is None:
        raise ConfigError(f"source {name!r} takes no location, got {location!r}: write {name}")
    if not location:
        raise ConfigError(f"source {text!r} has an empty location: write {name}:{cls.location_hint}")
    return name, {cls.location_field: location}


def open_source(text: str, options: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - a DataSource; its class lives above core
    """Open a source from the text a user writes.

    Args:
        text: See :func:`parse_source`.
        options: More options of the source's ``Config``; a location in the text wins.

    Raises:
        PluginError: for an unknown source.
        ConfigError: for an option or location that does not fit.
    """
    name, located = parse_source(text)
    return registry("data-source").create(name, {**(options or {}), **located}, where=f"source {text}")
