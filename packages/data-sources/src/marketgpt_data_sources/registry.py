"""The registries of data sources and universes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marketgpt_core.plugins import Registry

if TYPE_CHECKING:
    from marketgpt_data_sources.base import DataSource
    from marketgpt_data_sources.universes.base import UniverseProvider


@cache
def data_sources() -> Registry[DataSource]:
    """Return the registry of every installed data source, ours and those of plugins."""
    return Registry(
        kind="data-source",
        group="marketgpt.data_sources",
        specs="marketgpt_data_sources.hookspecs",
        hook="marketgpt_data_sources",
        base="marketgpt_data_sources.base:DataSource",
        conformance="marketgpt_data_sources.testing:DataSourceConformance",
    )


@cache
def universes() -> Registry[UniverseProvider]:
    """Return the registry of every installed universe, ours and those of plugins."""
    return Registry(
        kind="universe",
        group="marketgpt.data_sources",
        specs="marketgpt_data_sources.hookspecs",
        hook="marketgpt_universes",
        base="marketgpt_data_sources.universes.base:UniverseProvider",
        conformance="marketgpt_data_sources.universes.testing:UniverseConformance",
    )
