"""A user's own universe: ``data list --universe my-universe.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError
from marketgpt_data_sources.universes.base import UniverseProvider
from marketgpt_data_sources.universes.toml_file import read_universe

if TYPE_CHECKING:
    from marketgpt_core.universe import Universe


class FileUniverse(UniverseProvider):
    """A TOML file of yours: write its path instead of a name."""

    class Config(BaseConfig):
        """Options of the universe."""

        location: Path | None = Field(default=None, description="The file.")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: FileUniverse.Config = config

    def universe(self) -> Universe:
        """Return what the file says."""
        if self.config.location is None:
            raise ConfigError("write the path of the universe's file, for example my-universe.toml")
        return read_universe(self.config.location.expanduser())
