from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.api import create_app
from marketgpt_signals.api.jobs.runner import JobRunner
from marketgpt_signals.api.jobs.store import (
    MOST_QUEUED,
    JobStore,
    NotOpenError,
    OtherRequestError,
    QueueFullError,
)
from marketgpt_signals.api.jobs.worker import _chosen, _without_places
from marketgpt_signals.api.models import BacktestRequest, JobStatus
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.migrations.migrate import migrate
from marketgpt_signals.registry import strategies

AT = datetime(2026, 11, 20, tzinfo=UTC)
REQUEST = {"horizon_bars": 5}
UNKNOWN = "0" * 32


@pytest.fixture
def store(ledger):
    return JobStore(ledger.database, "host/1/a")


def test_the_oldest_waits_no_longer_than_the_others(store):
    first, new = store.submit(REQUEST, None, AT)
    second, _ = store.submit({"horizon_bars": 10}, None, AT)
    assert new
    assert (first.status, first.request, first.created_at) == (JobStatus.QUEUED, REQUEST, AT)
    taken = store.claim(AT)
    assert (taken.id, taken.status, taken.started_at) == (first.id, JobStatus.RUNNING, AT)
    assert store.claim(AT).id == second.id
    assert store.claim(AT) is None
    store.finish(first.id, JobStatus.DONE, AT, result={"x": 1}, series={"time": []})
    done = store.get(first.id)
    assert (done.status, done.result, done.series, done.finished_at) == (JobStatus.DONE, {"x": 1}, None, AT)
    assert store.get(first.id, series=True).series == {"time": []}
    assert store.get(UNKNOWN) is None


def test_pages_are_newest_first_and_brief(store):
    jobs = [store.submit(REQUEST, None, AT)[0] for _ in range(5)]
    store.claim(AT)
    store.finish(jobs[0].id, JobStatus.DONE, AT, result={"x": 1})
    page = store.page(None, before=None, limit=2)
    assert [job.id for job in page] == [jobs[4].id, jobs[3].id]
    assert [job.id for job in store.page(None, before=page[-1].seq, limit=9)] == [
        job.id for job in jobs[2::-1]
    ]
    (done,) = store.page(JobStatus.DONE, before=None, limit=9)
    assert done.result is None
    assert store.counts() == dict.fromkeys(JobStatus, 0) | {JobStatus.QUEUED: 4, JobStatus.DONE: 1}


def test_a_key_is_one_job_and_one_request(store, location):
    first, _ = store.submit(REQUEST, "key", AT)
    assert store.submit(REQUEST, "key", AT + timedelta(days=1)) == (first, False)
    with pytest.raises(OtherRequestError, match="came with another request before"):
        store.submit({"horizon_bars": 6}, "key", AT)
    assert store.submit(REQUEST, "other", AT)[1]
    with Ledger.open(location) as again:  # after a restart
        assert JobStore(again.database, "host/2/b").submit(REQUEST, "key", AT) == (first, False)


def test_no_more_wait_than_may(store):
    for _ in range(MOST_QUEUED):
        store.submit(REQUEST, None, AT)
    with pytest.raises(QueueFullError, match="16 backtests wait already"):
        store.submit(REQUEST, None, AT)
    store.claim(AT)
    assert store.submit(REQUEST, None, AT)[1]


def test_what_waits_or_runs_can_be_cancelled(store):
    waiting, _ = store.submit(REQUEST, None, AT)
    running, _ = store.submit(REQUEST, None, AT)
    assert store.cancel(waiting.id, AT).status is JobStatus.CANCELLED
    assert store.claim(AT).id == running.id
    assert store.seen(running.id, AT)
    assert store.cancel(running.id, AT).status is JobStatus.CANCELLED
    assert store.cancel(running.id, AT).status is JobStatus.CANCELLED  # again is the same
    assert not store.seen(running.id, AT)
    store.finish(running.id, JobStatus.DONE, AT, result={"x": 1})  # came too late
    assert store.get(running.id).status is JobStatus.CANCELLED
    done, _ = store.submit(REQUEST, None, AT)
    store.claim(AT)
    store.finish(done.id, JobStatus.DONE, AT)
    with pytest.raises(NotOpenError, match="done already"):
        store.cancel(done.id, AT)
    assert store.cancel(UNKNOWN, AT) is None


def test_jobs_of_an_owner_that_is_gone_are_interrupted_and_others_left_alone(store, ledger):
    job, _ = store.submit(REQUEST, None, AT)
    store.claim(AT)
    other = JobStore(ledger.database, "elsewhere/7/b")
    soon, late = AT + timedelta(seconds=20), AT + timedelta(seconds=31)
    assert other.interrupt_silent(soon, is_dead=lambda owner: False) == 0
    assert store.interrupt_silent(late, is_dead=lambda owner: True) == 0  # its own
    assert other.interrupt_silent(late, is_dead=lambda owner: False) == 1
    found = store.get(job.id)
    assert (found.status, found.reason) == (JobStatus.INTERRUPTED, "the server that ran it stopped")
    again, _ = store.submit(REQUEST, None, AT)
    store.claim(AT)
    assert other.interrupt_silent(soon, is_dead=lambda owner: owner == "host/1/a") == 1
    assert store.get(again.id).status is JobStatus.INTERRUPTED


def test_a_way_down_that_would_lose_jobs_is_refused(location):
    with Ledger.open(location) as ledger:
        store = JobStore(ledger.database, "a")
        store.submit(REQUEST, "key", AT)
    with pytest.raises(LedgerError, match="could not hold 1 jobs"):
        migrate(location, "0003")
    migrate(location, "0003", discard=True)
    migrate(location)
    with Ledger.open(location) as ledger:
        assert JobStore(ledger.database, "a").submit(REQUEST, "key", AT)[1]


def ended(store: JobStore, job_id: str):
    deadline = time.monotonic() + 30
    while (job := store.get(job_id, series=True)).status in {JobStatus.QUEUED, JobStatus.RUNNING}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return job


@pytest.fixture
def run_with(sqlite_ledger):
    """Run the queue with another program as its worker."""
    runners = []

    def make(code: str, **options) -> JobRunner:
        command = (sys.executable, "-c", f"import json, os, sys, time\nasked = json.load(sys.stdin)\n{code}")
        runner = JobRunner(
            sqlite_ledger.database, "parquet:secret/place", FixedClock(AT), command=command, **options
        )
        runners.append(runner)
        return runner

    yield make
    for runner in runners:
        runner.stop()


def test_the_worker_is_told_all_and_its_answer_kept(run_with, sqlite_ledger):
    runner = run_with("print(json.dumps({'result': asked, 'series': {'time': ['x'] * 100_000}}))")
    job, _ = runner.store.submit(REQUEST, None, AT)
    runner.start()
    done = ended(runner.store, job.id)
    assert done.status is JobStatus.DONE
    assert done.result == {
        "location": sqlite_ledger.name,
        "source": "parquet:secret/place",
        "request": REQUEST,
    }
    assert len(done.series["time"]) == 100_000


def test_one_runs_at_a_time(run_with, tmp_path):
    code = f"""
path = {str(tmp_path / "running")!r}
os.close(os.open(path, os.O_CREAT | os.O_EXCL))
time.sleep(0.05)
os.remove(path)
print('{{"result": {{}}}}')
"""
    runner = run_with(code)
    jobs = [runner.store.submit(REQUEST, None, AT)[0] for _ in range(4)]
    runner.start()
    assert {ended(runner.store, job.id).status for job in jobs} == {JobStatus.DONE}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "its process ended with signal 9; the server's log says more"),
        ("raise ValueError('secret')", "its process ended with status 1; the server's log says more"),
        ('print(\'{"reason": "no such signals"}\')', "no such signals"),
        ("print('no json')", "a defect of the server; its log says more"),
    ],
)
def test_a_worker_that_breaks_is_a_job_that_failed_and_the_next_one_runs(run_with, code, reason, caplog):
    runner = run_with(f"if asked['request']['horizon_bars'] == 5: {code}\nelse: print('{{}}')")
    broken, _ = runner.store.submit(REQUEST, None, AT)
    fine, _ = runner.store.submit({"horizon_bars": 6}, None, AT)
    runner.start()
    failed = ended(runner.store, broken.id)
    assert (failed.status, failed.reason) == (JobStatus.FAILED, reason)
    runner.start()
    assert ended(runner.store, fine.id).status is JobStatus.DONE


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


WAITS = "open({path!r}, 'w').write(str(os.getpid())); time.sleep(60)"


def pid_of(path) -> int:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def test_a_job_that_is_cancelled_loses_its_process(run_with, tmp_path):
    runner = run_with(WAITS.format(path=str(tmp_path / "pid")))
    job, _ = runner.store.submit(REQUEST, None, AT)
    runner.start()
    pid = pid_of(tmp_path / "pid")
    assert runner.cancel(job.id).status is JobStatus.CANCELLED
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert ended(runner.store, job.id).status is JobStatus.CANCELLED


def test_a_server_that_stops_interrupts_its_job_and_leaves_the_others_to_the_next(run_with, tmp_path):
    runner = run_with(WAITS.format(path=str(tmp_path / "pid")))
    running, _ = runner.store.submit(REQUEST, None, AT)
    waiting, _ = runner.store.submit(REQUEST, None, AT)
    runner.start()
    pid = pid_of(tmp_path / "pid")
    runner.stop()
    assert not alive(pid)
    assert runner.store.get(running.id).status is JobStatus.INTERRUPTED
    assert runner.store.get(waiting.id).status is JobStatus.QUEUED
    following = run_with("print('{}')")
    following.start()
    assert ended(following.store, waiting.id).status is JobStatus.DONE


def test_a_job_of_a_server_that_was_killed_is_interrupted_at_once(run_with, sqlite_ledger):
    """Its process is gone, so nobody need wait for its silence."""
    import socket

    gone = JobStore(sqlite_ledger.database, f"{socket.gethostname()}/{2**22 + 1}/a")
    job, _ = gone.submit(REQUEST, None, AT)
    gone.claim(AT)
    runner = run_with("print('{}')")
    runner.start()
    assert ended(gone, job.id).status is JobStatus.INTERRUPTED


def test_what_takes_too_long_fails(run_with):
    runner = run_with("time.sleep(60)", most_s=0.2)
    job, _ = runner.store.submit(REQUEST, None, AT)
    runner.start()
    assert ended(runner.store, job.id).reason == "it took longer than 0.2 seconds"


@pytest.fixture(scope="module")
def candles():
    return make_candles(["AAA", "BBB"], num_candles=300)


@pytest.fixture(scope="module")
def forecast_days(candles):
    return [str(day)[:10] for day in candles["AAA"].time[100:280]]


@pytest.fixture
def market(tmp_path, sqlite_ledger, candles, forecast_days):
    """A ledger with signals, and the source of their candles."""
    writing = pytest.importorskip("marketgpt_data_sources.writing")
    writing.write_parquet(candles, tmp_path / "candles")
    forecast = make_forecast(candles.symbols, as_of=forecast_days, drift=0.001)
    sqlite_ledger.append(strategies().create("threshold").signals(forecast, created_at=AT))
    return f"parquet:{tmp_path / 'candles'}"


def test_a_backtest_over_the_api_is_the_one_of_the_command(
    market, sqlite_ledger, make_client, tmp_path, capsys
):
    from marketgpt_core.cli.root import main

    app = create_app(sqlite_ledger, source=market)
    client = make_client(app)
    body = {"horizon_bars": 5, "cost": {"fee_bps": 10.0}}
    accepted = client.post("/v1/backtests", json=body, headers={"Idempotency-Key": "k"})
    assert accepted.status_code == 202
    where = accepted.headers["location"]
    again = client.post("/v1/backtests", json=body, headers={"Idempotency-Key": "k"})
    assert again.headers["location"] == where
    other = client.post("/v1/backtests", json={"horizon_bars": 6}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert ended(app.state.serving.runner.store, where.rpartition("/")[2]).status is JobStatus.DONE
    shown = client.get(where).json()
    assert shown["series"] is None
    with_series = client.get(where, params={"series": True}).json()["series"]
    assert {len(values) for values in with_series.values()} == {shown["result"]["num_bars"]}
    line = f"backtest --ledger {sqlite_ledger.name} --source {market} --horizon 5 cost.fee_bps=10 --json"
    with pytest.raises(SystemExit):
        main(line.split())
    assert json.loads(capsys.readouterr().out) == shown["result"]
    (recorded,) = sqlite_ledger.backtests()
    assert recorded.metrics["net"] == shown["result"]["net"]
    assert client.delete(where).status_code == 409
    assert client.get("/v1/backtests").json()["items"][0]["id"] == shown["id"]
    app.state.serving.runner.stop()


def test_signals_are_chosen_by_all_that_is_asked(market, sqlite_ledger, forecast_days):
    def chosen(**asked) -> list[tuple[str, str]]:
        found = _chosen(sqlite_ledger, BacktestRequest(horizon_bars=5, **asked))
        return [(signal.symbol, str(signal.as_of)[:10]) for signal in found]

    assert len(chosen()) == 2 * len(forecast_days)
    assert {symbol for symbol, _ in chosen(symbols=["BBB"])} == {"BBB"}
    few = chosen(symbols=["AAA"], since=forecast_days[2], until=forecast_days[4])
    assert [day for _, day in few] == forecast_days[4:1:-1]
    assert len(chosen(strategy="threshold", model=sqlite_ledger.signals(limit=1)[0].model_id)) == len(
        chosen()
    )
    for nothing in ({"strategy": "other"}, {"model": "other"}, {"symbols": ["ZZZ"]}):
        with pytest.raises(DataError, match=r"no such signals; its horizons are \[1, 5, 10\]"):
            chosen(**nothing)


def test_a_reason_names_no_place_of_the_server():
    asked = {"location": "/srv/secret/ledger.db", "source": "parquet:/srv/candles"}
    line = "cannot use the ledger /srv/secret/ledger.db: no symbol AAA in /srv/candles"
    assert _without_places(line, asked) == "cannot use the ledger the ledger: no symbol AAA in the source"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"horizon_bars": 0}, {"horizon_bars": 10**9}, {"horizon_bars": 5, "nothing": 1},
        {"horizon_bars": 5, "symbols": ["../../etc/passwd"]}, {"horizon_bars": 5, "symbols": ["A"] * 1_001},
        {"horizon_bars": 5, "since": "2026-01-02", "until": "2026-01-01"},
        {"horizon_bars": 5, "cost": {"fee_bps": -1}}, {"horizon_bars": 5, "strategy": "a\0b"},
        {"horizon_bars": 5, "num_resamples": 10**9}, [], None, "x",
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(sqlite_ledger, make_client, body):
    client = make_client(create_app(sqlite_ledger, source="sample"))
    assert client.post("/v1/backtests", json=body).status_code == 422
    assert client.get("/v1/backtests").json()["items"] == []


def test_without_candles_there_are_no_backtests(sqlite_ledger, make_client):
    client = make_client(create_app(sqlite_ledger))
    refused = client.post("/v1/backtests", json=REQUEST)
    assert refused.status_code == 503
    assert refused.json()["detail"] == "this server was started without a source of candles"
    assert client.get(f"/v1/backtests/{UNKNOWN}").status_code == 404
    assert client.delete(f"/v1/backtests/{UNKNOWN}").status_code == 404
