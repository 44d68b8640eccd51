"""What the page says of runs, in words: no HTML, no NiceGUI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketgpt_core.errors import DataError
from marketgpt_core.files import read_json
from marketgpt_training.pace import duration
from marketgpt_training.page.curves import Curves
from marketgpt_training.progress import gpu_words
from marketgpt_training.status import EVALUATED, FINISHED, SILENT, UNREADABLE
from marketgpt_training.status_observer import FAILED, INTERRUPTED, RUNNING, STATUS_FILE, TRAINED

#: A state's tone: a class of the style sheet.
TONES = {
    RUNNING: "good",
    SILENT: "warn",
    INTERRUPTED: "warn",
    FAILED: "bad",
    UNREADABLE: "bad",
    TRAINED: "idle",
    FINISHED: "idle",
    EVALUATED: "idle",
}
_ORDER = (RUNNING, SILENT, FAILED, UNREADABLE, INTERRUPTED)
COLUMNS = ("Run", "State", "Step", "Loss", "Candles/s", "Left", "Kept", "GPU")
MOST_RUNS = 100
_MOST_EVENTS = 40
_MOST_TEXT = 300
_DASH = "-"


@dataclass(frozen=True)
class RunRow:
    """A run in the table, in words.

    Attributes:
        key: The run's folder.
        cells: As ``COLUMNS``.
        tone: Of its state.
        error: What went wrong, or nothing.
    """

    key: str
    cells: tuple[str, ...]
    tone: str
    error: str


def table_rows(states: Sequence[dict[str, Any]]) -> list[RunRow]:
    """Return the rows: runs under way first, then those that need somebody, then the newest; at most 100."""

    def place(state: dict[str, Any]) -> tuple[int, str]:
        known = state["state"]
        return (-_ORDER.index(known) if known in _ORDER else -len(_ORDER), state.get("updated_at") or "")

    return [_row(state) for state in sorted(states, key=place, reverse=True)[:MOST_RUNS]]


def _row(state: dict[str, Any]) -> RunRow:
    is_running = state["state"] == RUNNING
    cells = (
        short(state["run"]),
        short(state["state"], 20),
        steps_words(state),
        _number(state.get("loss"), ".3f"),
        _number(state.get("candles_per_s"), ",.0f"),
        _left(state) if is_running else _DASH,
        _number(state.get("checkpoint_step"), ",.0f"),
        (gpu_words(state) or _DASH) if is_running else _DASH,
    )
    return RunRow(state["run"], cells, TONES.get(state["state"], "idle"), short(state.get("error") or ""))


def steps_words(state: dict[str, Any]) -> str:
    """Return the steps done and planned."""
    if state.get("step") is None:
        return _DASH
    return f"{state['step']:,.0f} / {state.get('total_steps') or 0:,.0f}"


def share_done(state: dict[str, Any]) -> float:
    """Return the share of the steps that is done, 0 to 1."""
    return min(max((state.get("step") or 0) / max(state.get("total_steps") or 1, 1), 0.0), 1.0)


def facts(state: dict[str, Any], curves: Curves) -> list[tuple[str, str]]:
    """Return names and values of what is told of the run chosen."""
    is_running = state["state"] == RUNNING
    starts = state.get("starts") or 1
    best = curves.best
    shown = [
        ("Step", f"{steps_words(state)}  ({share_done(state):.0%})"),
        ("Loss", _number(state.get("loss"), ".4f", " nat")),
        ("Best validation", f"{best[1]:.4f} nat at {best[0]:,.0f}" if best else _DASH),
        ("Candles/s", _number(state.get("candles_per_s"), ",.0f")),
        ("Spent", f"{duration(state.get('spent_s'))}{f' in {starts:.0f} starts' if starts > 1 else ''}"),
        ("Left", _left(state) if is_running else _DASH),
        ("Since first start", duration(state.get("elapsed_s"))),
        ("Last checkpoint", _number(state.get("checkpoint_step"), ",.0f", before="step ")),
        ("GPU", gpu_words(state) or "none"),
        ("MFU", _number(state.get("mfu"), ".1%")),
        ("Model TFLOP/s", _number(state.get("model_tflops"), ".3g")),
        ("Memory", _number(state.get("rss_gib"), ".2f", " GiB")),
        ("Host", short(state.get("host") or _DASH, 60)),
    ]
    return [(name, value) for name, value in shown if value != _DASH or name not in {"MFU", "Model TFLOP/s"}]


def events(folder: Path, curves: Curves) -> list[tuple[str, str]]:
    """Return when and what happened, newest first: starts, checkpoints, batches left out, the end."""
    found = [(step, "", f"left out {said}") for step, said in curves.spoiled]
    for one in _noted(folder):
        try:
            step, what = int(one["step"]), short(str(one["what"]), 40)
            moment = datetime.fromisoformat(one["at"]).astimezone(UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        found.append((step, f"{moment:%Y-%m-%d %H:%M:%S}", f"{what} at step {step:,}"))
    # Of one step, what was noted later comes later: sorting keeps the order.
    found.sort(key=lambda one: one[0])
    return [(moment, said) for _, moment, said in reversed(found)][:_MOST_EVENTS]


def _noted(folder: Path) -> list[Any]:
    try:
        said = read_json(folder / STATUS_FILE)
    except DataError:
        return []
    noted = said.get("events") if isinstance(said, dict) else None
    return noted[-200:] if isinstance(noted, list) else []


def summary(states: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """Return text and tone of the chip in the header."""
    running = sum(one["state"] == RUNNING for one in states)
    trouble = sum(TONES.get(one["state"]) == "bad" for one in states)
    if trouble and not running:
        return f"{trouble} failed", "bad"
    return (f"{running} running", "good") if running else ("nothing running", "idle")


def short(text: str, most: int = _MOST_TEXT) -> str:
    """Return text on one line, without control characters, cut."""
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _left(state: dict[str, Any]) -> str:
    return duration(state.get("eta_s"), at_most=bool(state.get("eta_at_most")))


def _number(value: float | None, form: str, after: str = "", *, before: str = "") -> str:
    return _DASH if value is None else f"{before}{format(value, form)}{after}"
