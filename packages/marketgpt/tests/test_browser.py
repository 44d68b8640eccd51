"""The demo's report and the served dashboard in a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from marketgpt_signals.ledger import Ledger

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

STARTED_WITHIN_S = 120


class Watched:
    """A page, and everything that went wrong or out on it."""

    def __init__(self, browser):
        self.page = browser.new_page(viewport={"width": 1440, "height": 1140}, color_scheme="light")
        self.page.set_default_timeout(60_000)
        self.trouble = []
        self.urls = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.urls.append(request.url))
        self.page.on("websocket", lambda opened: self.urls.append(opened.url))

    def _console(self, message):
        if message.type in {"error", "warning"}:
            self.trouble.append(f"{message.type}: {message.text}")


@pytest.fixture
def watched(chromium):
    one = Watched(chromium)
    yield one
    one.page.close()


def shot(page, tmp_path, name):
    """Keep a screenshot where ``MARKETGPT_SCREENSHOTS`` says, for people to look at."""
    path = Path(os.environ.get("MARKETGPT_SCREENSHOTS", tmp_path)) / f"{name}.png"
    page.screenshot(path=str(path), full_page=True)
    assert path.stat().st_size > 20_000


def test_the_report_draws_itself_from_a_file_alone(tiny_demo, watched, tmp_path):
    # Alone in its folder: nothing beside it could be loaded.
    alone = tmp_path / "report.html"
    shutil.copyfile(tiny_demo.workspace.report, alone)
    page = watched.page
    page.goto(alone.as_uri())
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg .xtick').length > 0")
    names = ("candles", "calibration", "equity", "training")
    drawn = {name: page.locator(f"#{name}.js-plotly-plot .main-svg").count() for name in names}
    assert all(drawn.values()), drawn
    assert page.locator(".js-plotly-plot").count() == 4
    # Not only axes: candles, the median's points, curves.
    assert page.locator("#candles .boxlayer path.box").count() == 180
    assert page.locator("#candles .scatterlayer .trace").count() >= 5
    assert page.locator("#equity .scatterlayer .trace .js-line").count() == 4
    shot(page, tmp_path, "report")
    assert watched.trouble == []
    assert watched.urls == [alone.as_uri()]


@pytest.fixture
def served(tiny_demo, tmp_path):
    """The address of a real ``marketgpt serve`` over a copy of the demo, and that copy."""
    folder = tmp_path / "demo"
    shutil.copytree(tiny_demo.workspace.folder, folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from marketgpt_core.cli import main; main()", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = threading.Timer(STARTED_WITHIN_S, process.kill)
    deadline.start()
    try:
        line = process.stdout.readline()
        deadline.cancel()
        if not line:
            pytest.fail(f"marketgpt serve ended: {process.communicate()[1]}")
        base = f"http://127.0.0.1:{port}"
        assert line == f"dashboard {base}/dashboard   API {base}/docs   (Ctrl-C stops)\n"
        yield base, folder
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        deadline.cancel()
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_serve_shows_the_demo_and_what_is_written_while_one_looks(tiny_demo, served, watched, tmp_path):
    from dataclasses import replace

    base, folder = served
    with urlopen(f"{base}/v1/health", timeout=30) as answer:
        assert json.load(answer)
    page = watched.page
    page.goto(f"{base}/dashboard?symbol=AAPL&horizon=10")
    page.wait_for_selector(".mg-chart canvas")
    page.wait_for_selector(".mg-table tbody tr")
    rows = page.locator(".mg-table tbody tr").count()
    assert rows >= 2
    shot(page, tmp_path, "serve")

    page.evaluate("window.notReloaded = true")
    newest = max(tiny_demo.signals, key=lambda one: (one.as_of, one.symbol == "AAPL", one.horizon_bars == 10))
    written = replace(
        newest,
        symbol="AAPL",
        as_of=newest.as_of + timedelta(days=1),
        expires_at=newest.expires_at + timedelta(days=1),
        reason="written while you looked",
    )
    with Ledger.open(folder / "ledger.db", must_exist=True) as ledger:
        assert ledger.append([written]) == 1
    page.wait_for_selector("text=written while you looked")
    assert page.evaluate("window.notReloaded") is True

    assert watched.trouble == []
    assert {urlsplit(url).hostname for url in watched.urls} == {"127.0.0.1"}


def test_the_api_documentation_loads_nothing_from_elsewhere(served, watched):
    base, _ = served
    page = watched.page
    page.goto(f"{base}/docs")
    page.wait_for_selector("#operations-tag-signals")
    assert {urlsplit(url).hostname for url in watched.urls if not url.startswith("data:")} == {"127.0.0.1"}
    assert watched.trouble == []
