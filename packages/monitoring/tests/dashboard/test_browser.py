"""The dashboard in a real Chromium, served by uvicorn on loopback."""

from __future__ import annotations

import os
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI

from marketgpt_core.clock import FixedClock
from marketgpt_core.testing import make_candles
from marketgpt_core.times import to_datetime
from marketgpt_monitoring.dashboard import mount_dashboard
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal, sample_ledger

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HOSTILE = (
    '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
    "{{ $el.ownerDocument.title = 'pwned' }}"
)

# The chart as ECharts holds it, and the series of one id.
OPTION = """() => {
  const element = document.querySelector('.mg-chart');
  return (element && getElement(Number(element.id.slice(1)))?.chart?.getOption()) ?? null;
}"""


@pytest.fixture
def serve(nicegui_sandbox):
    """Serve an application on a free port of loopback until the test is over."""
    stops = []

    def start(app: FastAPI) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(20)
            listener.close()

        stops.append(stop)
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server stopped"
            assert time.monotonic() < deadline, "the server did not start"
            thread.join(0.02)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for stop in stops:
        stop()


class Watched:
    """A page, and everything that went wrong or out on it."""

    def __init__(self, browser, **options):
        self.page = browser.new_page(viewport={"width": 1440, "height": 1140}, **options)
        self.page.set_default_timeout(30_000)
        self.trouble = []
        self.hosts = set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))
        self.page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).hostname))

    def _console(self, message):
        if message.type in {"error", "warning"}:
            self.trouble.append(f"{message.type}: {message.text}")


@pytest.fixture
def candles():
    return make_candles(("AAPL", "MSFT"), num_candles=320, start="2023-01-02", daily_volatility=0.013)


@pytest.fixture
def clock(candles):
    return FixedClock(to_datetime(candles.end) + timedelta(days=1, hours=2))


@pytest.fixture
def dashboard(serve, candles, clock):
    """Serve the dashboard over a ledger and return its address."""

    def start(reader: MemoryReader) -> str:
        app = FastAPI()
        mount_dashboard(app, reader=reader, candles=candles.__getitem__, clock=clock, poll_interval_s=0.3)
        return serve(app) + "/dashboard"

    return start


def newer(candles, **changes):
    series = candles["AAPL"]
    as_of = to_datetime(series.time[-1]) + timedelta(days=3)
    return make_signal("AAPL", as_of=as_of, close=float(series.close[-1]), bar_volatility=0.013, **changes)


def shot(page, tmp_path, name):
    """Keep a screenshot where ``MARKETGPT_SCREENSHOTS`` says, for people to look at."""
    folder = Path(os.environ.get("MARKETGPT_SCREENSHOTS", tmp_path))
    page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
    assert (folder / f"{name}.png").stat().st_size > 20_000


def series_of(option, identity):
    return next(one for one in option["series"] if one["id"] == identity)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_draws_and_updates_itself(chromium, dashboard, candles, tmp_path, scheme):
    reader = sample_ledger(candles)
    watched = Watched(chromium, color_scheme=scheme)
    page = watched.page
    page.goto(dashboard(reader))
    page.wait_for_selector(".mg-chart canvas")
    page.wait_for_selector(".mg-records .mg-track")
    page.wait_for_function(f"({OPTION})()?.series?.length === 10")

    option = page.evaluate(OPTION)
    assert len(series_of(option, "candles")["data"]) == 250
    assert len([value for value in series_of(option, "q50")["data"] if value is not None]) == 43
    assert page.locator(".mg-table tbody tr").count() == 5
    assert page.locator(".mg-chip").inner_text() == "Live"
    assert ("body--dark" in page.locator("body").get_attribute("class")) is (scheme == "dark")
    shot(page, tmp_path, f"dashboard-{scheme}")

    # The viewer zooms; then something new is written. Neither zoom nor page may be lost.
    page.evaluate(
        """() => {
          window.notReloaded = true;
          const id = Number(document.querySelector('.mg-chart').id.slice(1));
          getElement(id).chart.dispatchAction({type: 'dataZoom', start: 30, end: 90});
        }"""
    )
    reader.append(newer(candles, horizon_bars=5, probability=0.91, reason="written while you looked"))
    page.wait_for_selector("text=written while you looked")
    page.wait_for_function(
        f"({OPTION})().series.find(one => one.id === 'q50').data.filter(v => v !== null).length === 6"
    )
    assert page.evaluate("window.notReloaded") is True
    zoom = page.evaluate(OPTION)["dataZoom"][0]
    assert (zoom["start"], zoom["end"]) == pytest.approx((30, 90), abs=1)

    assert watched.trouble == []
    assert watched.hosts == {"127.0.0.1"}
    page.close()


def test_viewers_choices_change_the_page(chromium, dashboard, candles):
    watched = Watched(chromium, color_scheme="light")
    page = watched.page
    page.goto(dashboard(sample_ledger(candles)))
    page.wait_for_selector(".mg-chart canvas")
    closes = series_of(page.evaluate(OPTION), "candles")["data"]

    page.locator(".mg-symbol input").click()
    page.locator(".q-menu .q-item", has_text="MSFT").click()
    page.wait_for_function("location.search.includes('symbol=MSFT')")
    page.wait_for_function(
        f"(before) => {{ const now = ({OPTION})(); return now && now.series[0].data[0][0] !== before; }}",
        arg=closes[0][0],
    )
    page.locator(".mg-horizons button", has_text="1m").click()
    page.wait_for_function("location.search.includes('horizon=21')")

    # The address is a link to what is shown.
    page.reload()
    page.wait_for_selector(".mg-chart canvas")
    assert page.locator(".mg-symbol input").input_value() == "MSFT"

    page.locator(".mg-toolbar button", has_text="All symbols").click()
    page.wait_for_selector(f"text={2 * 278}")  # two symbols; 320 candles less 40, and the last two
    page.locator(".mg-theme").click()
    page.wait_for_selector("body.body--dark")
    assert watched.trouble == []
    assert watched.hosts == {"127.0.0.1"}
    page.close()


class HostileReader(MemoryReader):
    def symbols(self):
        return [*super().symbols(), HOSTILE]


def test_hostile_text_stays_text(chromium, dashboard, candles):
    reader = HostileReader([newer(candles, strategy=HOSTILE, model_id=HOSTILE, reason=HOSTILE)])
    watched = Watched(chromium)
    page = watched.page
    page.goto(dashboard(reader) + "/?symbol=%3Cimg%20src=x%20onerror=window.pwned=1%3E")
    page.wait_for_selector(".mg-chart canvas")
    page.wait_for_selector(".mg-table tbody tr")
    assert page.locator(".mg-reason").last.inner_text() == HOSTILE
    page.locator(".mg-symbol input").click()
    page.locator(".q-menu .q-item").nth(1).click()
    page.wait_for_function("location.search.includes('symbol=%3Cimg')")
    # A symbol of the ledger without candles: the candles raise, and the message is text as well.
    page.wait_for_selector(".mg-error")
    assert "<img" in page.locator(".mg-error").inner_text()
    assert page.evaluate("window.pwned") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "MarketGPT"
    assert watched.hosts == {"127.0.0.1"}
    page.close()
