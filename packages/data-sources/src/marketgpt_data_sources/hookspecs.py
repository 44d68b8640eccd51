"""What a plugin of the group ``marketgpt.data_sources`` may implement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from marketgpt_core.plugins import hookspec

if TYPE_CHECKING:
    from marketgpt_data_sources.base import DataSource
    from marketgpt_data_sources.universes.base import UniverseProvider


@hookspec
def marketgpt_data_sources() -> Mapping[str, str | type[DataSource]]:
    """Return the sources this plugin adds, as ``{name: "module:Class"}``.

    The name is what a user writes before the colon in ``--source name:location``; it must not hold one.
    """
    raise NotImplementedError  # a specification: pluggy never calls it


@hookspec
def marketgpt_universes() -> Mapping[str, str | type[UniverseProvider]]:
    """Return the universes this plugin adds, as ``{name: "module:Class"}``.

    The name is what a user writes in ``marketgpt data fetch NAME``. A class that subclasses
    ``TomlUniverse`` and names its file is all a list of symbols needs.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
