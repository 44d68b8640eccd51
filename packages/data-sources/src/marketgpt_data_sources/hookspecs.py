"""What a plugin of the group ``marketgpt.data_sources`` may implement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from marketgpt_core.plugins import hookspec

if TYPE_CHECKING:
    from marketgpt_data_sources.base import DataSource


@hookspec
def marketgpt_data_sources() -> Mapping[str, str | type[DataSource]]:
    """Return the sources this plugin adds, as ``{name: "module:Class"}``.

    The name is what a user writes before the colon in ``--source name:location``; it must not hold one.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
