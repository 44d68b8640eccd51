"""The contract of a universe, and the one that reads a TOML file."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import PluginError

if TYPE_CHECKING:
    from marketgpt_core.universe import Universe


class UniverseProvider(ABC):
    """Gives one universe.

    Attributes:
        Config: Pydantic class of its options; most have none.
        config: The options of this instance.

    Args:
        config: An instance of its ``Config``.
    """

    Config: ClassVar[type[BaseConfig]] = BaseConfig

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def universe(self) -> Universe:
        """Return the universe, the same each time.

        Raises:
            ConfigError: when it needs a location and was given none.
            DataError: when its file cannot be read.
        """


class TomlUniverse(UniverseProvider):
    """A universe that is a TOML file beside the module of its class.

    A subclass only names the file; see :mod:`marketgpt_data_sources.universes.toml_file` for its form::

        class Metals(TomlUniverse):
            file = "metals.toml"

    Attributes:
        file: The file, relative to the folder of the module that names it.
    """

    file: ClassVar[str]

    def universe(self) -> Universe:
        """Return what the file says."""
        from marketgpt_data_sources.universes.toml_file import read_universe

        home = next((cls for cls in type(self).__mro__ if "file" in vars(cls)), None)
        module = None if home is None else sys.modules[home.__module__].__file__
        if home is None or module is None:
            raise PluginError(f"universe {type(self).__name__} names no file beside its module")
        return read_universe(Path(module).parent / str(vars(home)["file"]))
