"""The three contracts of this package: alert channels, drift detectors, dashboard panels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import DataError, MarketGPTError
from marketgpt_core.symbols import Category

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from marketgpt_core.candles import CandleSeries
    from marketgpt_core.clock import Clock
    from marketgpt_core.signal import SignalReader


class DeliveryError(MarketGPTError):
    """An alert could not be handed over; the message says by which channel and why."""


class Severity(StrEnum):
    """How much an alert matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Alert:
    """Something a person should know.

    Attributes:
        title: One line.
        text: What happened and what to do, plain text; may hold text of others, so a channel escapes it
            for its medium.
        severity: info, warning or critical.
        at: When it was noticed; aware, kept in UTC.
        key: Identity for deduplication: the same trouble has the same key, however often it is noticed.
        labels: Names to values for routing and search: ``{"horizon": "5"}``. Copied and read-only.
    """

    title: str
    text: str
    severity: Severity
    at: datetime
    key: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise DataError(f"alert.at must be aware (UTC), got {self.at!r}")
        if not self.title.strip() or not self.key:
            raise DataError(f"an alert needs a title and a key, got {self.title!r} and {self.key!r}")
        object.__setattr__(self, "at", self.at.astimezone(UTC))
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))


class AlertChannel(ABC):
    """A way to reach people: a log, a chat, a pager.

    Args:
        config: Its options, an instance of its own nested ``Config``.
    """

    class Config(BaseConfig):
        """No options."""

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def send(self, alert: Alert) -> None:
        """Hand the alert over; return only once it is safely with whoever carries it on.

        Args:
            alert: The alert; the channel leaves it as it is and keeps secrets in its labels to itself.

        Raises:
            DeliveryError: when it could not be handed over. Trying again is the caller's business.
        """


@dataclass(frozen=True)
class DriftPoint:
    """A change of level, at the moment it was noticed.

    Attributes:
        index: 0-based position in the stream (counted since construction or reset) of the value at which
            the alarm was raised; the change itself lies earlier.
        before: Estimated mean before the change, in the stream's units.
        after: Estimated mean after it.
        statistic: ``after - before`` in standard deviations of the stream's reference part.
    """

    index: int
    before: float
    after: float
    statistic: float

    @property
    def rose(self) -> bool:
        """Whether the level went up; for a loss that is deterioration."""
        return self.after > self.before


@dataclass(frozen=True)
class DriftReport:
    """What one :meth:`DriftDetector.update` found.

    Attributes:
        points: Changes noticed among the values just fed, in order.
        num_seen: Values seen since construction or reset.
        detail: One sentence for people.
    """

    points: tuple[DriftPoint, ...]
    num_seen: int
    detail: str = ""

    @property
    def drifted(self) -> bool:
        """Whether any change was noticed."""
        return bool(self.points)


class DriftDetector(ABC):
    """Notices that the mean of a stream has changed, looking at the past only.

    Feeding values one by one or all at once gives the same points. After an alarm the detector goes on by
    itself with the values that follow; :meth:`reset` is for a new stream.

    Args:
        config: Its options, an instance of its own nested ``Config``.
    """

    class Config(BaseConfig):
        """No options."""

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def update(self, values: NDArray[np.float64]) -> DriftReport:
        """Feed the next values.

        Args:
            values: shape (n,), float64, finite, oldest first, following what was fed before; any unit,
                the same throughout. Empty is allowed.

        Returns:
            The changes noticed among these values.

        Raises:
            DataError: for another shape, or a value that is not finite; nothing is fed then.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget everything, as if newly made."""


class Selection:
    """What the viewer of one browser page chose; shared by all panels of that page.

    Args:
        symbol: The symbol shown; None while the ledger is empty.
        horizon_bars: The horizon whose signals are marked; None for the shortest there is.
    """

    def __init__(self, symbol: str | None = None, horizon_bars: int | None = None) -> None:
        self.symbol = symbol
        self.horizon_bars = horizon_bars
        self._listeners: list[Callable[[], object]] = []

    def choose(self, *, symbol: str | None = None, horizon_bars: int | None = None) -> None:
        """Change the choice and tell the page, which refreshes every panel; None leaves a part as it is."""
        chosen = (symbol or self.symbol, horizon_bars or self.horizon_bars)
        if chosen == (self.symbol, self.horizon_bars):
            return
        self.symbol, self.horizon_bars = chosen
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` after every change."""
        self._listeners.append(listener)


@dataclass(frozen=True)
class DashboardContext:
    """What a panel may use.

    Attributes:
        reader: The ledger; reads only. A call may take a while: an ``async`` panel makes it by
            ``await asyncio.to_thread(...)``, so that other viewers do not wait.
        candles: Gives a symbol's candles, or None where there are none.
        clock: Tells the time.
        selection: What the viewer chose.
    """

    reader: SignalReader
    candles: Callable[[str], CandleSeries | None]
    clock: Clock
    selection: Selection

    def category(self, symbol: str | None) -> Category:
        """Return the market of a symbol, which names its horizons; unknown without readable candles."""
        try:
            series = None if symbol is None else self.candles(symbol)
        except Exception:  # noqa: BLE001 - whoever draws the candles says what is wrong with them
            return Category.UNKNOWN
        return Category.UNKNOWN if series is None else series.category


class DashboardPanel(ABC):
    """A card on the dashboard, made of NiceGUI elements.

    Every open page has its own instance, so elements and choices may be kept on ``self``. Whatever a method
    raises is shown in this panel's card and harms nothing else; the panel is tried again at the next refresh.

    Attributes:
        title: Shown above the card; plain text.
        order: Cards are shown by increasing order; ours have 10, 20, 30.
        wide: Whether the card takes the page's whole width.

    Args:
        config: Its options, an instance of its own nested ``Config``.
    """

    class Config(BaseConfig):
        """No options."""

    title: str
    order: int = 100
    wide: bool = False

    def __init__(self, config: BaseConfig) -> None:
        self.config = config

    @abstractmethod
    def render(self, context: DashboardContext) -> Awaitable[None] | None:
        """Build the elements inside the card, which is empty and current. May be ``async``.

        Text from the ledger or a user goes into elements that escape (``ui.label``, ``ui.table``), never
        into ``ui.html``.
        """

    def refresh(self, context: DashboardContext) -> Awaitable[bool] | bool:  # noqa: ARG002 - for subclasses
        """Bring the elements up to date after the ledger or the selection changed. May be ``async``.

        Returns:
            True when the elements were updated in place; False (the default) to have the card emptied and
            :meth:`render` called again.
        """
        return False
