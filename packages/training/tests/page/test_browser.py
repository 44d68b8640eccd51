"""The page in a real Chromium, during a real training; both are the commands a user types."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]

HOSTILE = "<img src=x onerror=window.pwned=1>"
STEP = "document.querySelector('.tp-chosen .tp-step').innerText"
POINTS = """() => {
  const chart = document.querySelector('.tp-chart-loss');
  return getElement(Number(chart.id.slice(1))).chart.getOption().series[0].data.length;
}"""


def command(*words, cwd, log):
    script = "from marketgpt_core.cli import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", script, *words], cwd=cwd, stdout=file, stderr=file, env=environment
        )


@pytest.fixture
def start(tmp_path):
    started = []

    def run(*words, log):
        started.append(command(*words, cwd=tmp_path, log=tmp_path / log))
        return started[-1]

    yield run
    for process in started:
        process.terminate()
        process.wait(30)


@pytest.fixture
def address(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start("train", "page", "--port", str(port), log="page.log")
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except OSError:
            assert process.poll() is None, (tmp_path / "page.log").read_text(encoding="utf-8")
            import time

            time.sleep(0.1)
        else:
            return f"http://127.0.0.1:{port}"
    pytest.fail("the page does not answer")


def shot(page, tmp_path, name):
    """Keep a screenshot where ``MARKETGPT_SCREENSHOTS`` says, for people to look at."""
    folder = Path(os.environ.get("MARKETGPT_SCREENSHOTS", tmp_path))
    page.screenshot(path=str(folder / f"{name}.png"), full_page=True)


def test_numbers_move_while_a_run_trains(chromium, start, address, tmp_path):
    hostile = tmp_path / "runs" / HOSTILE.replace("/", "")
    hostile.mkdir(parents=True)
    (hostile / "status.json").write_text('{"state": "failed", "error": "<b>no</b>"}', encoding="utf-8")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "status.json").write_text("{", encoding="utf-8")

    trouble, hosts = [], set()
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(90_000)
    page.on("console", lambda one: trouble.append(one.text) if one.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(address)
    page.wait_for_selector(f"text={HOSTILE}")
    assert page.locator(".tp-row .mg-chip", has_text="unreadable").count() == 1
    assert page.evaluate("window.pwned") is None

    # A run begun later shows up by itself; a hand chooses it.
    training = start(
        *("train", "--preset", "demo", "--no-evaluate", "engine.name=torch", "loop.max_epochs=6"),
        *("checkpoint.every_steps=10", "run_dir=runs/live"),
        log="train.log",
    )
    page.wait_for_selector("text=runs/live")
    page.locator(".tp-row", has_text="runs/live").click()
    page.wait_for_function("location.search.includes('live')")
    page.wait_for_function(f"{STEP} !== '-'")
    page.evaluate("window.notReloaded = true")
    before = page.evaluate(STEP), page.evaluate(POINTS)
    page.wait_for_function(f"(before) => {STEP} !== before", arg=before[0])
    page.wait_for_function(f"(before) => ({POINTS})() > before + 5", arg=before[1])
    page.wait_for_selector(".tp-events :text('checkpoint at step 10')")
    shot(page, tmp_path, "train-page")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, tmp_path, "train-page-phone")

    assert training.wait(200) == 0, (tmp_path / "train.log").read_text(encoding="utf-8")
    page.wait_for_selector(".tp-chosen .mg-chip:text('finished')")
    assert page.evaluate("window.notReloaded") is True
    assert (trouble, hosts) == ([], {"127.0.0.1"})
    page.close()


def test_another_name_for_this_machine_is_refused(address):
    request = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert "connect-src 'self'" in answer.headers["content-security-policy"]
