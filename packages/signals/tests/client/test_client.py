"""The client against a real server on loopback."""

from __future__ import annotations

import asyncio
import itertools
import threading
from datetime import UTC, datetime

import httpx
import pytest

from marketgpt_core.signal import Outcome, Side
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.api import create_app
from marketgpt_signals.api.models import BacktestRequest, JobStatus
from marketgpt_signals.client import (
    ApiError,
    Client,
    ConflictError,
    InvalidRequestError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.records import RunRecord
from marketgpt_signals.registry import strategies

AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def forecast():
    candles = make_candles(["AAA", "BBB"], num_candles=200)
    days = [str(day)[:10] for day in candles["AAA"].time[100:140]]
    return make_forecast(candles.symbols, as_of=days, drift=0.001)


@pytest.fixture(scope="module")
def place(tmp_path_factory, forecast):
    """A folder with a ledger, candles and forecasts."""
    writing = pytest.importorskip("marketgpt_data_sources.writing")
    folder = tmp_path_factory.mktemp("client")
    writing.write_parquet(make_candles(["AAA", "BBB"], num_candles=200), folder / "candles")
    forecast.to_frame().to_parquet(folder / "forecasts.parquet")
    signals = strategies().create("threshold").signals(forecast, created_at=AT)
    with Ledger.open(folder / "ledger.db") as ledger:
        ledger.append(signals)
        ledger.record_run(RunRecord("run-1", "runs/1", {"nll": 1.0}, AT))
        ledger.write_outcomes(
            [Outcome(one.id, AT, AT, 1.0, 1.1, 0.1, 0.09, 14.0, True, True, AT) for one in signals[:7]]
        )
    return folder


@pytest.fixture(scope="module")
def ledger(place):
    with Ledger.open(place / "ledger.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def url(place, ledger, serve):
    app = create_app(ledger, source=f"parquet:{place / 'candles'}", forecasts=place / "forecasts.parquet")
    with serve(app) as address:
        yield address


@pytest.fixture
def client(url):
    with Client(url) as opened:
        yield opened


def test_lists_come_whole_whatever_the_size_of_a_page(client, ledger):
    said = [signal.id for signal in ledger.signals()]
    assert [one.id for one in client.signals()] == [one.id for one in client.signals(limit=50)] == said
    assert len(said) == 240
    shorts = [one.id for one in client.signals(side=Side.SHORT, symbol="AAA", limit=3)]
    assert shorts == [one.id for one in ledger.signals(side=Side.SHORT, symbol="AAA")]
    since = ledger.signals()[50].as_of
    assert {one.as_of >= since for one in client.signals(since=since)} == {True}
    assert {one.symbol for one in client.latest()} == {"AAA", "BBB"}
    assert len(list(client.outcomes(limit=2))) == 7


def test_single_things(client, ledger, forecast):
    one = ledger.signals(limit=1)[0]
    assert client.signal(one.id).signal.bands.q50 == one.bands.q50
    assert client.health().counts.signals == len(ledger.signals())
    assert client.bands("AAA").bands[0].name == "1w"
    assert len(list(client.forecasts(symbol="AAA", limit=7))) == 40
    assert {model.id for model in client.models()} == {"run-1", forecast.model_id}
    assert client.model("run-1").metrics == {"nll": 1.0}


def test_a_backtest_is_asked_for_and_waited_for(client):
    request = BacktestRequest(horizon_bars=5, num_resamples=10)
    job = client.submit_backtest(request, idempotency_key="nightly")
    assert client.submit_backtest(request, idempotency_key="nightly").id == job.id
    done = client.wait(job.id, series=True)
    assert done.status is JobStatus.DONE, done.reason
    assert BacktestRequest.model_validate(done.request) == request
    assert len(done.series["equity"]) == done.result["num_bars"]
    assert job.id in {one.id for one in client.backtests(limit=1)}
    with pytest.raises(ConflictError, match="409: the job is done already"):
        client.cancel_backtest(job.id)
    with pytest.raises(InvalidRequestError, match="another request before"):
        client.submit_backtest(BacktestRequest(horizon_bars=6), idempotency_key="nightly")
    with pytest.raises(TimeoutError, match="is still"):
        client.wait(client.submit_backtest(request).id, timeout_s=0, every_s=0.01)


def test_problems_are_errors_that_carry_them(client):
    with pytest.raises(NotFoundError, match=f"404: no signal has the id {'0' * 32}") as caught:
        client.signal("0" * 32)
    assert caught.value.status == caught.value.problem["status"] == 404
    with pytest.raises(InvalidRequestError, match=r"query\.limit: Input should be greater"):
        list(client.signals(limit=0))
    with pytest.raises(NotFoundError):
        client.model("../../v1/signals?x=#")
    with pytest.raises(ApiError, match="405"):
        client._send("PUT", "/v1/signals")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, KeyRefusedError), (403, KeyRefusedError), (413, InvalidRequestError), (429, RateLimitedError),
        (500, ServerError), (503, ServerError), (418, ApiError),
    ],
)  # fmt: skip
def test_other_answers(status, kind):
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer key"
        return httpx.Response(status, headers={"retry-after": "7"}, text="<html>")

    with Client("http://x", api_key="key", transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ApiError) as caught:
            client.health()
        assert type(caught.value) is kind
        assert (caught.value.status, caught.value.problem, caught.value.retry_after_s) == (status, {}, 7.0)


def test_no_answer_and_strange_answers(url):
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(NoAnswerError, match="does not answer"):
        nobody.health()
    strange = httpx.MockTransport(lambda request: httpx.Response(200, json={"status": 3}))
    with Client("http://x", transport=strange) as client, pytest.raises(NoAnswerError, match="than Health"):
        client.health()


def test_the_stream_from_the_first_signal_on(client, ledger):
    found = list(itertools.islice(client.stream(last_event_id=0), 240))
    assert [one.seq for one in found] == list(range(1, 241))
    assert {one.signal.id for one in found} == {signal.id for signal in ledger.signals()}
    only = list(itertools.islice(client.stream(last_event_id=0, symbol="BBB"), 120))
    assert {one.signal.symbol for one in only} == {"BBB"}


def test_a_stream_that_is_refused_is_an_error(client):
    with pytest.raises(InvalidRequestError):
        next(client.stream(side="UP"))
    with pytest.raises(InvalidRequestError, match="not of this ledger"):
        next(client.stream(last_event_id=10**9))


def test_the_stream_outlives_its_server(tmp_path, make_signal, serve):
    """The server goes away twice; what is written meanwhile comes after, each signal once."""
    found: list[int] = []
    enough = threading.Event()

    def listen(client: Client) -> None:
        for one in client.stream(last_event_id=0):
            found.append(one.seq)
            if one.seq == 6:
                break
        enough.set()

    with Ledger.open(tmp_path / "ledger.db") as ledger:
        addresses: list[str] = []

        def route(request: httpx.Request) -> httpx.Response:
            request.url = request.url.copy_with(port=int(addresses[-1].rpartition(":")[2]))
            return network.handle_request(request)

        network = httpx.HTTPTransport()
        client = Client("http://127.0.0.1:1", transport=httpx.MockTransport(route))
        thread = None
        for start in (0, 2, 4):
            with serve(create_app(ledger)) as url:
                addresses.append(url)
                if thread is None:
                    thread = threading.Thread(target=listen, args=(client,), daemon=True)
                    thread.start()
                ledger.append([make_signal(start)])
                waiting = threading.Event()
                while start + 1 not in found:
                    waiting.wait(0.01)
            ledger.append([make_signal(start + 1)])
            if start == 4:
                with serve(create_app(ledger)) as url:
                    addresses.append(url)
                    assert enough.wait(20)
        client.close()
    assert found == [1, 2, 3, 4, 5, 6]


def test_the_stream_asynchronously(client):
    async def main():
        found = []
        stream = client.astream(last_event_id=200)
        async for one in stream:
            found.append(one.seq)
            if len(found) == 40:
                break
        await stream.aclose()
        return found

    assert asyncio.run(asyncio.wait_for(main(), 20)) == list(range(201, 241))
    refused = client.astream(side="UP")
    with pytest.raises(InvalidRequestError):
        asyncio.run(anext(refused))
