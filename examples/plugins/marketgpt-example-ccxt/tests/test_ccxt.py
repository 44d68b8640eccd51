"""ccxt's real client against a loopback server that speaks Binance's API: no network, no waiting."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed")
pytest.importorskip("marketgpt_example_ccxt", reason="marketgpt-example-ccxt is not installed")

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import CandleError, ConfigError, DataError, FetchError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_data_sources import data_sources, open_source
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.testing import DataSourceConformance

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
FIRST = 1_704_067_200_000  # 2024-01-01
LENGTHS = {"1m": 60_000, "1h": HOUR_MS, "1d": DAY_MS, "1w": 7 * DAY_MS}


class Binance:
    """What the server knows, and what it is to do wrong."""

    def __init__(self) -> None:
        self.base = ""
        self.markets = {"BTCUSDT": ("BTC", "USDT"), "ETHUSDT": ("ETH", "USDT"), "ETHBTC": ("ETH", "BTC")}
        self.halted: set[str] = set()
        # By market: stamp of the first candle, how many; one each step from there.
        self.listed = {"BTCUSDT": (FIRST, 60), "ETHUSDT": (FIRST, 50), "ETHBTC": (FIRST, 40)}
        self.changed: dict[tuple[str, int], list[Any]] = {}
        # Answered first, each once: (status, body, headers) or "cut", "page", "half".
        self.faults: list[Any] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.most = 1000

    def answer(self, path: str) -> tuple[int, str, dict[str, str]]:
        url = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.requests.append((url.path, query))
        if self.faults and isinstance(self.faults[0], tuple):
            return self.faults.pop(0)
        if url.path == "/api/v3/exchangeInfo":
            return 200, json.dumps({"symbols": [self._market(*one) for one in self.markets.items()]}), {}
        if url.path == "/api/v3/klines":
            return 200, json.dumps(self._klines(query)), {}
        return 404, "{}", {}

    def _market(self, name: str, assets: tuple[str, str]) -> dict[str, Any]:
        return {
            "symbol": name,
            "status": "BREAK" if name in self.halted else "TRADING",
            "baseAsset": assets[0],
            "quoteAsset": assets[1],
            "isSpotTradingAllowed": True,
            "permissions": ["SPOT"],
            "filters": [],
        }

    def _klines(self, query: dict[str, str]) -> list[list[Any]]:
        name, step = query["symbol"], LENGTHS[query["interval"]]
        first, count = self.listed[name]
        numbers = [k for k in range(count) if first + k * step >= int(query.get("startTime", 0))]
        rows = [self._kline(name, first + k * step, step, k) for k in numbers]
        return rows[: min(int(query["limit"]), self.most)]

    def _kline(self, name: str, at: int, step: int, k: int) -> list[Any]:
        prices = self.changed.get((name, k), [10.0 + k, 12.0 + k, 9.0 + k, 11.0 + k])
        texts = [f"{price:.8f}" for price in prices]
        return [at, *texts, f"{100 + k}.5", at + step - 1, "1", 2, "3", "4", "0"]


def _handler(binance: Binance) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fault = binance.faults.pop(0) if binance.faults and isinstance(binance.faults[0], str) else ""
            status, text, headers = binance.answer(self.path)
            if fault == "page":
                text = "<html><body>Scheduled maintenance</body></html>"
            body = text.encode()
            promised = len(body)
            if fault in ("half", "cut"):
                body = body[: promised // 2]
                promised = len(body) if fault == "half" else promised
            self.send_response(status)
            kind = "text/html" if fault == "page" else "application/json"
            for name, value in {"Content-Type": kind, "Content-Length": str(promised), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def binance() -> Iterator[Binance]:
    known = Binance()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(known)) as http:
        http.daemon_threads = True
        known.base = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield known
        http.shutdown()
        thread.join()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2024, 6, 3, 12, tzinfo=UTC))


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def opened(binance: Binance, clock: FixedClock, waits: list[float]) -> Callable[..., Any]:
    def opened(**options: Any) -> Any:
        source = open_source("ccxt:binance", {"mirror": binance.base, "requests_per_s": 0.0, **options})
        source.clock, source.rng = clock, random.Random(0)
        source.sleep = lambda seconds: (waits.append(seconds), clock.advance(timedelta(seconds=seconds)))
        return source

    return opened


class TestCcxt(DataSourceConformance):
    @pytest.fixture
    def implementation(self, opened: Callable[..., Any]) -> Any:
        return opened()


def _closes(source: Any, symbol: str, **options: Any) -> list[float]:
    found = source.fetch([symbol], **options)
    return found[symbol].close.tolist() if symbol in found else []


def test_markets_are_listed_with_a_dash(binance: Binance, opened: Callable[..., Any]) -> None:
    binance.halted.add("ETHBTC")
    source = opened()
    assert source.symbols() == source.symbols(Interval.WEEK) == ("BTC-USDT", "ETH-USDT")
    # Not listed any more, but its history is there.
    assert len(_closes(source, "ETH-BTC")) == 40
    assert [path for path, _ in binance.requests].count("/api/v3/exchangeInfo") == 1


def test_values_units_and_category(opened: Callable[..., Any]) -> None:
    series = opened().fetch(["BTC-USDT"], start="2024-01-03", end="2024-01-05")["BTC-USDT"]
    assert [str(stamp)[:10] for stamp in series.time] == ["2024-01-03", "2024-01-04"]
    assert (series.open[0], series.high[0], series.low[0], series.close[0]) == (12.0, 14.0, 11.0, 13.0)
    assert (series.volume[0], str(series.category)) == (102.5, "crypto")


def test_a_dollar_is_a_tether_where_there_is_no_dollar(
    binance: Binance, opened: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert opened().fetch(["BTC-USD"]).symbols == ("BTC-USD",)
    assert "ccxt:binance has no BTC/USD: BTC/USDT stands in" in caplog.text
    with pytest.raises(FetchError, match=r"unknown symbol 'BTC-USD' .*did you mean 'BTC-USDT'"):
        opened(dollar=None).fetch(["BTC-USD"])
    binance.markets["BTCUSD"], binance.listed["BTCUSD"] = ("BTC", "USD"), (FIRST, 3)
    assert len(_closes(opened(), "BTC-USD")) == 3


@pytest.mark.parametrize("most", [1, 7, 30, 60, 1000])
def test_pages_follow_each_other_without_a_seam(
    binance: Binance, opened: Callable[..., Any], most: int
) -> None:
    binance.most = most
    assert _closes(opened(), "BTC-USDT") == [11.0 + k for k in range(60)]
    asked = [query for path, query in binance.requests if path.endswith("klines")]
    assert len({query["startTime"] for query in asked}) == len(asked) <= 60 // most + 2
    assert {query["limit"] for query in asked} == {"1000"}


def test_a_page_is_not_asked_for_beyond_the_range(binance: Binance, opened: Callable[..., Any]) -> None:
    assert len(_closes(opened(), "BTC-USDT", start="2024-01-10", end="2024-01-20")) == 10
    assert [path for path, _ in binance.requests].count("/api/v3/klines") == 1


def test_the_candle_that_has_not_ended_is_left_out(opened: Callable[..., Any], clock: FixedClock) -> None:
    source = opened()
    clock.advance(datetime(2024, 1, 5, 11, 30, tzinfo=UTC) - clock.now())
    assert len(_closes(source, "BTC-USDT")) == 4
    assert len(_closes(source, "BTC-USDT", interval=Interval.HOUR, start="2024-01-01T20:00")) == 40
    assert _closes(source, "BTC-USDT", interval=Interval.WEEK) == []
    clock.advance(datetime(2024, 1, 6, tzinfo=UTC) - clock.now())
    assert len(_closes(source, "BTC-USDT")) == 5


THROTTLED, DOWN = FetchReason.THROTTLED, FetchReason.UNREACHABLE
MESSAGE = '{"code": -1003, "msg": "Too many requests."}'


@pytest.mark.parametrize(
    ("fault", "least_wait_s"),
    [
        ((429, MESSAGE, {"Retry-After": "17"}), 17.0),
        ((418, MESSAGE, {"Retry-After": "41"}), 41.0),
        ((429, "", {}), 0.0),
        ((500, "", {}), 0.0),
        ((503, "<html>down</html>", {}), 0.0),
        ("cut", 0.0),
        ("half", 0.0),
        ("page", 0.0),
    ],
)
@pytest.mark.parametrize("place", ["markets", "candles"])
def test_what_passes_is_tried_again(
    binance: Binance,
    opened: Callable[..., Any],
    waits: list[float],
    *,
    fault: Any,
    least_wait_s: float,
    place: str,
) -> None:
    source = opened()
    if place == "candles":
        source.symbols()
    binance.faults.append(fault)
    assert len(_closes(source, "BTC-USDT")) == 60
    assert binance.faults == []
    assert max(waits) >= least_wait_s


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((429, MESSAGE, {}), FetchReason.THROTTLED),
        ((418, MESSAGE, {}), FetchReason.THROTTLED),
        ((503, "", {}), FetchReason.UNREACHABLE),
        ("half", FetchReason.BAD_ANSWER),
        ("page", FetchReason.BAD_ANSWER),
        ((200, '[["soon", 1, 2, 3, 4, 5]]', {}), FetchReason.BAD_ANSWER),
        ((400, '{"code": -1121, "msg": "Invalid symbol."}', {}), FetchReason.DELISTED),
    ],
)
def test_what_does_not_pass_is_an_error_with_its_reason(
    binance: Binance, opened: Callable[..., Any], fault: Any, reason: FetchReason
) -> None:
    source = opened(max_attempts=2)
    source.symbols()
    binance.faults += [fault, fault]
    with pytest.raises(FetchError, match=r"BTC[-/]USDT") as refused:
        source.fetch(["BTC-USDT"])
    assert refused.value.reason is reason
    assert "\n" not in str(refused.value)


def test_a_ban_is_not_waited_out(binance: Binance, opened: Callable[..., Any], waits: list[float]) -> None:
    source = opened()
    source.symbols()
    binance.faults.append((418, MESSAGE, {"Retry-After": "7200"}))
    with pytest.raises(CircuitOpenError, match="asks to wait 7200 s") as refused:
        source.fetch(["BTC-USDT"])
    assert refused.value.reason is FetchReason.THROTTLED
    before = len(binance.requests)
    with pytest.raises(CircuitOpenError):
        source.fetch(["ETH-USDT"])
    assert len(binance.requests) == before
    assert sum(waits) < 3600


def test_a_silent_server_is_unreachable(opened: Callable[..., Any]) -> None:
    with pytest.raises(FetchError, match="NetworkError") as refused:
        opened(mirror="http://127.0.0.1:9", max_attempts=2).symbols()
    assert refused.value.reason is FetchReason.UNREACHABLE


def test_impossible_candles_come_raw_and_are_refused_by_fetch(
    binance: Binance, opened: Callable[..., Any]
) -> None:
    binance.changed["BTCUSDT", 5] = [10.0, 8.0, 9.0, 10.0]
    [(where, frame)] = opened().raw(["BTC-USDT"])
    assert (where, len(frame), frame["high"].iloc[5]) == ("ccxt:binance BTC-USDT", 60, 8.0)
    with pytest.raises(CandleError, match=r"ccxt:binance BTC-USDT.*2024-01-06 high below"):
        opened().fetch(["BTC-USDT"])


def test_no_candle_in_the_range_is_an_empty_frame(opened: Callable[..., Any]) -> None:
    [(_, frame)] = opened().raw(["BTC-USDT"], start="2024-04-01", end="2024-05-01")
    assert len(frame) == 0
    assert frame["time"].dtype == "datetime64[ns]"


def test_mistakes_are_one_line(opened: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="needs an EXCHANGE: write ccxt:binance"):
        open_source("ccxt").symbols()
    with pytest.raises(ConfigError, match="unknown exchange 'binanse'; did you mean 'binance'"):
        open_source("ccxt:binanse").symbols()
    with pytest.raises(ConfigError, match="unknown exchange '__init__'"):
        open_source("ccxt:__init__").symbols()
    with pytest.raises(DataError, match=r"ccxt:coinbase has no candles at 1w; it has 1m, 5m, 1h, 1d"):
        open_source("ccxt:coinbase").fetch(["BTC-USD"], interval=Interval.WEEK)


def test_every_host_of_an_exchange_moves_to_the_mirror() -> None:
    from marketgpt_example_ccxt.client import make_client

    client = make_client("kraken", timeout_s=3.0, mirror="http://127.0.0.1:9/")
    assert client.urls["api"]["public"] == "http://127.0.0.1:9"
    assert client.urls["api"]["zendesk"].startswith("http://127.0.0.1:9/api/")
    assert client.timeout == 3000


def test_listing_the_sources_imports_no_ccxt() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from marketgpt_data_sources import data_sources; data_sources().load('ccxt')\n"
        "print('ccxt' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert data_sources().provider("ccxt").distribution == "marketgpt-example-ccxt"
