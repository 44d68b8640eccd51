"""The check: has a model got worse, as far as the outcomes known by now can tell?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from marketgpt_core.clock import Clock
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.signal import SignalReader
from marketgpt_core.times import iso, to_datetime
from marketgpt_monitoring.base import DriftDetector, DriftReport
from marketgpt_monitoring.scores import NOMINAL_COVERAGE, Proportion, proportion
from marketgpt_monitoring.streams import Stream, StreamKey, current_keys, resolved_streams


class Status(StrEnum):
    """Result of a check."""

    OK = "ok"
    WARN = "warn"
    ALARM = "alarm"


_SEVERITY = (Status.OK, Status.WARN, Status.ALARM)


class CheckConfig(BaseConfig):
    """Options of a check.

    Attributes:
        confidence: Of the intervals shown.
        warn_confidence: Of the interval that has to exclude the nominal coverage for a warning; wider, since
            checks are repeated.
        stale_after_days: Symbols whose newest signal is older than the ledger's newest by more are ignored.
    """

    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    warn_confidence: float = Field(default=0.99, gt=0.5, lt=1.0)
    stale_after_days: int = Field(default=30, ge=1)


@dataclass(frozen=True)
class Drift:
    """A change of the mean Brier loss.

    Attributes:
        at: When it was noticed: exit of the last outcome it took; aware, UTC.
        before, after: Mean Brier loss before and after.
        statistic: The change in standard deviations of one point.
    """

    at: datetime
    before: float
    after: float
    statistic: float


@dataclass(frozen=True)
class StreamReport:
    """How one model does on one horizon, over all symbols.

    Attributes:
        key: Strategy, model, interval and horizon.
        num_outcomes: Resolved signals.
        num_points: Points the detector was fed (see :meth:`Stream.points`).
        brier: Mean Brier loss; None without outcomes.
        brier_base_rate: That of always saying the share of ups among the same outcomes, known afterwards.
        base_rate_up: That share: the hit rate of always saying LONG.
        hit_rate: Share of LONG and SHORT signals whose side was right; None without any.
        coverage: Share of closes inside the 90% band; None without outcomes.
        drifts: Changes noticed, oldest first.
        status: ok, warn or alarm.
        text: One sentence: why.
    """

    key: StreamKey
    num_outcomes: int
    num_points: int
    brier: float | None
    brier_base_rate: float | None
    base_rate_up: float | None
    hit_rate: Proportion | None
    coverage: Proportion | None
    drifts: tuple[Drift, ...]
    status: Status
    text: str


@dataclass(frozen=True)
class MonitorReport:
    """The result of a check.

    Attributes:
        at: When it was made; nothing written later was looked at.
        streams: One report per strategy, model, interval and horizon in use.
    """

    at: datetime
    streams: tuple[StreamReport, ...]

    @property
    def status(self) -> Status:
        """The worst status of all streams; ok without any."""
        return max((stream.status for stream in self.streams), key=_SEVERITY.index, default=Status.OK)

    @property
    def text(self) -> str:
        """One line."""
        if not self.streams:
            return "ok: the ledger holds no signals"
        counts = [(status, sum(s.status is status for s in self.streams)) for status in reversed(_SEVERITY)]
        shown = ", ".join(f"{count} {status}" for status, count in counts if count)
        return f"{self.status}: {len(self.streams)} streams ({shown})"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        streams = [_flat(asdict(stream)) for stream in self.streams]
        return {"at": iso(self.at), "status": self.status, "text": self.text, "streams": streams}


def _flat(stream: dict[str, Any]) -> dict[str, Any]:
    drifts = [drift | {"at": iso(drift["at"])} for drift in stream["drifts"]]
    return {**stream.pop("key"), **stream, "drifts": drifts}


def check(
    reader: SignalReader, detector: DriftDetector, *, clock: Clock, config: CheckConfig | None = None
) -> MonitorReport:
    """Look at every model in use: did its Brier loss rise, do its bands hold what they promise?

    A rise of the Brier loss that has not come back since is an alarm; bands whose coverage is surely not 90%
    are a warning. A stream belongs to one model, so a new model starts with a clean slate.

    Args:
        reader: The ledger.
        detector: Fed with one stream after another, reset before each.
        clock: Only outcomes written by its ``now()`` are looked at.
        config: Options; the defaults when left out.

    Raises:
        MarketGPTError: whatever the ledger or the detector raise.
    """
    config = config or CheckConfig()
    now = clock.now()
    resolved = resolved_streams(reader, now=now)
    keys = current_keys(reader, stale_after=timedelta(days=config.stale_after_days))
    return MonitorReport(
        now, tuple(_examine(key, resolved.get(key), detector, config) for key in sorted(keys))
    )


def _examine(
    key: StreamKey, stream: Stream | None, detector: DriftDetector, config: CheckConfig
) -> StreamReport:
    if stream is None:
        return StreamReport(
            key, 0, 0, None, None, None, None, None, (), Status.OK, "nothing has been resolved yet"
        )
    detector.reset()
    times, losses = stream.points()
    found = detector.update(losses)
    drifts = tuple(
        Drift(to_datetime(times[point.index]), point.before, point.after, point.statistic)
        for point in found.points
    )
    status, text = _judge(stream, drifts, found, config)
    base = float(stream.up.mean())
    sided = stream.directional
    return StreamReport(
        key=key,
        num_outcomes=len(stream),
        num_points=len(losses),
        brier=float(stream.loss.mean()),
        brier_base_rate=base * (1.0 - base),
        base_rate_up=base,
        hit_rate=proportion(stream.hit[sided], stream.block[sided], confidence=config.confidence),
        coverage=proportion(stream.inside_90, stream.block, confidence=config.confidence),
        drifts=drifts,
        status=status,
        text=text,
    )


def _judge(
    stream: Stream, drifts: tuple[Drift, ...], found: DriftReport, config: CheckConfig
) -> tuple[Status, str]:
    if drifts and drifts[-1].after > drifts[-1].before:
        last = drifts[-1]
        change = f"from {last.before:.4f} to {last.after:.4f} ({last.statistic:+.1f} sd)"
        return Status.ALARM, f"Brier loss rose {change}, noticed {iso(last.at)}"
    wide = proportion(stream.inside_90, stream.block, confidence=config.warn_confidence)
    if wide is not None and wide.excludes(NOMINAL_COVERAGE):
        kind = "narrow" if wide.value < NOMINAL_COVERAGE else "wide"
        interval = f"{wide.low:.1%} to {wide.high:.1%}"
        return Status.WARN, f"the 90% bands held {wide.value:.1%} ({interval}): too {kind}"
    return Status.OK, f"no alarm; {found.detail}"
