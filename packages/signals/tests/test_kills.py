"""SIGKILL of writers at random moments: nothing acknowledged is lost, nothing is there twice.

``MARKETGPT_SIGNALS=25000 uv run pytest packages/signals/tests/test_kills.py -m slow -s`` lets each of the
four writers say as much as one wants.
"""

from __future__ import annotations

import os
import random
import signal as signals_of_unix
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_signals.ledger import Ledger

WRITERS = 4
SIGNALS = int(os.environ.get("MARKETGPT_SIGNALS", "1500"))
MOST_KILLS = 300
LARGEST_BATCH = max(1, SIGNALS // 100)  # hundreds of commits each, so that many kills fall between them
AT = datetime(2000, 1, 1, tzinfo=UTC)


def said(writer: int, position: int) -> Signal:
    """The writer's signal of a position; every fifth is the same for all writers."""
    symbol = "SHARED" if position % 5 == 0 else f"W{writer}"
    at = AT + timedelta(hours=position)
    return Signal(
        symbol=symbol, as_of=at, horizon_bars=5, interval=Interval.HOUR, side=Side.LONG, probability=0.6,
        confidence=0.2, close=100.0, bands=Bands(95, 98, 101, 104, 108), expires_at=at + timedelta(hours=6),
        created_at=at + timedelta(hours=1), strategy="threshold", model_id="model", data_fingerprint="f" * 64,
        reason=f"position {position}",
    )  # fmt: skip


def acknowledged(path: Path) -> list[tuple[int, int]]:
    """Return the batches a writer knows to be written, from the lines it finished."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = text.split("\n")[:-1]
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def write(writer: int, location: str, path: Path) -> None:
    """Write what is not acknowledged yet, and, as it may well be there, the last batch once more."""
    done = acknowledged(path)
    position = done[-1][0] if done else 0
    draw = random.Random(f"{writer} {len(done)}")
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Ledger.open(location, must_exist=True) as ledger:
        while position < SIGNALS:
            end = min(position + draw.randint(1, LARGEST_BATCH), SIGNALS)
            ledger.append([said(writer, one) for one in range(position, end)])
            os.write(log, f"{position} {end}\n".encode())
            position = end


def start(writer: int, location: str, folder: Path) -> int:
    """Write in a forked child, which needs no second to import SQLAlchemy."""
    child = os.fork()
    if child:
        return child
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the child's, to its end
    try:
        write(writer, location, folder / f"{writer}.log")
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a forked child must not come back to pytest
        import traceback

        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(1)


def reap(children: dict[int, int], folder: Path) -> None:
    """Take those that came to their end out of the table of writers."""
    for child in list(children):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, (folder / "failure.txt").read_text(encoding="utf-8")
            del children[child]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_writers_lose_nothing_they_were_told_is_there(location, tmp_path):
    Ledger.open(location).close()
    draw = random.Random(3)
    began, kills = time.monotonic(), 0
    children = {start(writer, location, tmp_path): writer for writer in range(WRITERS)}
    while children:
        time.sleep(draw.uniform(0.0, 0.12))
        reap(children, tmp_path)
        if not children or kills == MOST_KILLS:
            continue
        child = draw.choice(sorted(children))
        writer = children.pop(child)
        os.kill(child, signals_of_unix.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0, (tmp_path / "failure.txt").read_text(encoding="utf-8")
        kills += os.WIFSIGNALED(status)
        done = acknowledged(tmp_path / f"{writer}.log")
        with Ledger.open(location, must_exist=True) as ledger:
            for position in range(*done[-1]) if done else ():
                assert ledger.get(said(writer, position).id) is not None, (writer, position)
        children[start(writer, location, tmp_path)] = writer
    elapsed_s = time.monotonic() - began

    wanted = {said(writer, position) for writer in range(WRITERS) for position in range(SIGNALS)}
    with Ledger.open(location, must_exist=True) as ledger:
        found = ledger.signals()
        assert ledger.summary().num_signals == len(found)
    assert len(found) == len(wanted) == SIGNALS * WRITERS - (WRITERS - 1) * len(range(0, SIGNALS, 5))
    assert set(found) == wanted
    assert kills >= WRITERS
    for writer in range(WRITERS):
        batches = acknowledged(tmp_path / f"{writer}.log")
        assert {one for batch in batches for one in range(*batch)} == set(range(SIGNALS))
    print(
        f"\n{location}: {kills} kills, {WRITERS} x {SIGNALS:,} signals in {elapsed_s:.1f} s: each there, once"
    )
