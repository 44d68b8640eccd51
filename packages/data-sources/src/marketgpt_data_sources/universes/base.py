"""The contract of a universe, and the one that reads a TOML file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from marketgpt_core.config import Config as BaseConfig

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
        """Return the universe.

        Raises:
            DataError: when its file cannot be read.
        """
