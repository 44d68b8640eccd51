"""Bands, forecasts, models, markets, ETags, readiness and counters."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import DataError, FetchError, FetchReason
from marketgpt_core.signal import Outcome, Side
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.api import create_app
from marketgpt_signals.bands.sets import band_sets
from marketgpt_signals.migrations.migrate import migrate
from marketgpt_signals.records import RunRecord

AT = datetime(2016, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def candles():
    return make_candles(["AAA", "BBB"], num_candles=300)


@pytest.fixture(scope="module")
def forecast(candles):
    days = [str(day)[:10] for day in candles["AAA"].time[100:280]]
    return make_forecast(candles.symbols, as_of=days, drift=0.001, horizons=(1, 5, 21))


@pytest.fixture
def source(monkeypatch, candles):
    """A source of its own that can be broken: what it should raise."""
    broken: list[Exception] = []

    class Source:
        location_field = None

        def symbols(self, interval):
            return candles.symbols

        def fetch(self, symbols, *, start, end, interval):
            if broken:
                raise broken[0]
            return candles.select(symbols)

    monkeypatch.setattr("marketgpt_signals.candle_source.open_source", lambda text: Source())
    return broken


@pytest.fixture
def filled(sqlite_ledger, make_signal):
    sqlite_ledger.append(
        [
            make_signal(0, probability=0.7),
            make_signal(1, side=Side.SHORT, probability=0.2),
            make_signal(2, symbol="BTC-USD", model_id="gpt-run-1"),
            make_signal(3, symbol="^GSPC"),
        ]
    )
    return sqlite_ledger


@pytest.fixture
def client(filled, make_client, forecast, source, tmp_path):
    path = tmp_path / "forecasts.parquet"
    forecast.to_frame().to_parquet(path)
    clock = FixedClock(datetime(2016, 2, 1, 21, 30, tzinfo=UTC))
    return make_client(create_app(filled, source="test", forecasts=path, clock=clock))


def test_a_market_is_what_shapes_and_universes_say(client, monkeypatch):
    def symbols(query: str) -> list[str]:
        return [item["symbol"] for item in client.get(f"/v1/signals?{query}").json()["items"]]

    assert symbols("market=crypto") == ["BTC-USD"]
    assert symbols("market=index") == ["^GSPC"]
    assert symbols("market=unknown") == ["AAA", "AAA"]
    assert symbols("market=unknown&side=SHORT") == ["AAA"]
    assert symbols("market=crypto&symbol=AAA") == symbols("market=fx") == []
    assert client.get("/v1/signals?market=mars").status_code == 422
    monkeypatch.setattr("marketgpt_signals.ledger.market_of", lambda symbol: symbol)
    assert symbols("market=us") == []


def test_the_latest_have_a_route_of_their_own(client):
    same = client.get("/v1/signals?latest=true").json()
    assert client.get("/v1/signals/latest").json() == same
    assert [item["symbol"] for item in same["items"]] == ["^GSPC", "BTC-USD", "AAA"]
    assert client.get("/v1/signals/latest?side=LONG&symbol=AAA").json()["items"] == []
    assert client.get("/v1/signals/latest?latest=false").status_code == 422


def test_outcomes_come_by_market_too(client, sqlite_ledger, make_signal):
    made = make_signal(2, symbol="BTC-USD", model_id="gpt-run-1")
    sqlite_ledger.write_outcomes(
        [Outcome(made.id, AT, AT, 100.0, 101.0, 0.01, 0.0086, 14.1, True, False, AT)]
    )
    assert len(client.get("/v1/outcomes?market=crypto").json()["items"]) == 1
    assert client.get("/v1/outcomes?market=us").json()["items"] == []


@pytest.mark.parametrize("few", [0, 10_000])
def test_outcomes_are_the_same_by_either_way(sqlite_ledger, make_signal, make_client, monkeypatch, few):
    signals = [make_signal(day) for day in range(20)]
    sqlite_ledger.append(signals)
    sqlite_ledger.write_outcomes(
        [
            Outcome(one.id, at, at, 1.0, 1.0, 0.0, 0.0, 14.0, True, True, AT)
            for one in signals[:15:2]
            for at in [one.as_of.replace(hour=1)]
        ]
    )
    monkeypatch.setattr("marketgpt_signals.ledger._FEW_OUTCOMES", few)
    client, seen, cursor = make_client(create_app(sqlite_ledger)), [], None
    while True:
        page = client.get("/v1/outcomes", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["signal"]["id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [one.id for one in signals[14::-2]]


def test_bands_are_those_of_the_command(client, candles, forecast):
    shown = client.get("/v1/bands?symbol=AAA").json()
    assert (shown["symbol"], shown["interval"]) == ("AAA", "1d")
    expected = band_sets(candles["AAA"], forecast, num_resamples=0)
    assert [(one["kind"], one["name"], one["bars"]) for one in shown["bands"]] == [
        (one.kind, one.name, one.bars) for one in expected
    ]
    assert {one["kind"] for one in shown["bands"]} == {"classical", "forecast"}
    for one, wanted in zip(shown["bands"], expected, strict=True):
        told = wanted.to_json(candles["AAA"])
        assert one["newest"]["upper"] == told["newest"]["upper"]
        assert one["newest"]["known_at_the_close_of"].endswith("Z")
        assert one["at_horizon"]["share"] == told["at_horizon"]["share"]
        assert one["at_horizon"]["interval"] is None
    wide = client.get("/v1/bands?symbol=AAA&width=3&intervals=true").json()["bands"]
    assert wide[0]["newest"]["upper"] > shown["bands"][0]["newest"]["upper"]
    assert len(wide[0]["at_horizon"]["interval"]) == 2


def test_bands_that_cannot_be_had(client, source):
    assert client.get("/v1/bands").status_code == 422
    unknown = client.get("/v1/bands?symbol=ZZZ")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "the source has no candles of ZZZ")
    source.append(FetchError("AAA: 503 from /srv/x", reason=FetchReason.UNREACHABLE))
    away = client.get("/v1/bands?symbol=AAA")
    assert (away.status_code, away.json()["detail"]) == (503, "there are no candles of AAA just now")
    source[0] = FetchError("AAA: delisted", reason=FetchReason.DELISTED)
    assert client.get("/v1/bands?symbol=AAA").status_code == 404
    source[0] = DataError("cannot read /srv/candles/AAA.parquet")
    broken = client.get("/v1/bands?symbol=AAA")
    assert broken.status_code == 503
    assert "/srv" not in broken.text


def test_forecasts_page_by_page(client, forecast):
    items, cursor = [], None
    while True:
        query = {"symbol": "AAA", "limit": 50} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/forecasts", params=query).json()
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    mine = forecast.of("AAA")
    assert [item["as_of"][:10] for item in items] == [str(one)[:10] for one in mine.as_of[::-1]]
    newest = items[0]
    assert [one["horizon_bars"] for one in newest["horizons"]] == mine.horizons.tolist()
    row = int(np.argmax(mine.as_of))
    assert newest["horizons"][1]["p_up"] == mine.p_up[row, 1]
    assert list(newest["horizons"][1]["quantiles"].values()) == mine.quantiles[row, 1].tolist()
    assert newest["horizons"][1]["quantiles"]["0.05"] == mine.quantile(0.05)[row, 1]


def test_forecasts_of_all_symbols_each_come_once(client, forecast):
    seen, cursor = [], None
    while True:
        page = client.get("/v1/forecasts", params={"limit": 7} | ({"cursor": cursor} if cursor else {}))
        seen += [(item["symbol"], item["as_of"]) for item in page.json()["items"]]
        if (cursor := page.json()["next_cursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == len(forecast)


def test_forecasts_are_filtered(client, forecast):
    def count(query: str) -> int:
        return len(client.get(f"/v1/forecasts?limit=500&{query}").json()["items"])

    assert count("latest=true") == 2
    middle = str(forecast.of("AAA").as_of[90])[:10]
    assert count(f"symbol=AAA&since={middle}") == 90
    assert count(f"symbol=AAA&until={middle}") == 91
    assert count("horizon=5&symbol=AAA") == 180
    assert count("horizon=7") == count("symbol=ZZZ") == count("model=nobody") == 0
    assert count("since=9999-01-01") == count("until=0001-01-01") == 0
    shown = client.get("/v1/forecasts?horizon=5&limit=1").json()["items"][0]["horizons"]
    assert [one["horizon_bars"] for one in shown] == [5]


def test_a_file_of_forecasts_that_changes_is_read_anew(client, forecast, tmp_path):
    path = tmp_path / "forecasts.parquet"
    assert len(client.get("/v1/forecasts?limit=500").json()["items"]) == 360
    forecast.of("AAA").to_frame().to_parquet(tmp_path / "new")
    (tmp_path / "new").replace(path)
    assert len(client.get("/v1/forecasts?limit=500").json()["items"]) == 180
    path.write_bytes(b"rubbish")
    broken = client.get("/v1/forecasts")
    assert (broken.status_code, broken.json()["detail"]) == (503, "the forecasts cannot be read")
    path.unlink()
    assert client.get("/v1/forecasts").status_code == 503


def test_a_server_without_candles_and_forecasts_says_so(sqlite_ledger, make_client):
    client = make_client(create_app(sqlite_ledger))
    for path, what in (("bands?symbol=AAA", "a source of candles"), ("forecasts", "forecasts")):
        answer = client.get(f"/v1/{path}")
        assert answer.status_code == 503
        assert answer.json()["detail"] == f"this server was started without {what}"


def test_models_are_those_of_signals_and_of_runs(client, sqlite_ledger):
    sqlite_ledger.record_run(RunRecord("1", "/srv/runs/1", {"nll": 14.8}, AT))
    sqlite_ledger.record_run(RunRecord("alone", "/srv/runs/alone", {}, AT))
    answer = client.get("/v1/models")
    assert "/srv" not in answer.text
    items = answer.json()["items"]
    assert [one["id"] for one in items] == ["alone", "gpt-run-1", "model-1"]
    assert items[0] == {
        "id": "alone", "run_id": "alone", "first_as_of": None, "last_as_of": None,
        "recorded_at": "2016-02-01T00:00:00Z", "metrics": {},
    }  # fmt: skip
    assert items[1]["metrics"] == {"nll": 14.8}
    assert (items[2]["first_as_of"], items[2]["last_as_of"]) == (
        "2016-01-04T00:00:00Z",
        "2016-01-07T00:00:00Z",
    )
    assert client.get("/v1/models/gpt-run-1").json() == items[1]
    assert client.get("/v1/models/nobody").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/v1/signals", "/v1/signals/latest", "/v1/outcomes", "/v1/forecasts", "/v1/models", "/v1/backtests",
     "/v1/bands?symbol=AAA", "/v1/models/model-1"],
)  # fmt: skip
def test_what_is_known_is_not_sent_again(client, path):
    first = client.get(path)
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    assert first.headers["cache-control"] == "private, no-cache"
    for wanted in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": wanted})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content


def test_a_new_signal_makes_another_tag(client, sqlite_ledger, make_signal):
    tag = client.get("/v1/signals").headers["etag"]
    sqlite_ledger.append([make_signal(9)])
    again = client.get("/v1/signals", headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert again.headers["etag"] != tag


def test_problems_carry_no_tag(client):
    answer = client.get("/v1/models/nobody", headers={"If-None-Match": "*"})
    assert answer.status_code == 404
    assert "etag" not in answer.headers


def test_alive_is_not_ready(client, sqlite_ledger):
    assert client.get("/v1/health/live").json()["status"] == "live"
    assert client.get("/v1/health/ready").json()["status"] == "ready"
    migrate(sqlite_ledger.name, "0003")
    refused = client.get("/v1/health/ready")
    assert (refused.status_code, refused.json()["detail"]) == (503, "the ledger cannot be read")
    assert client.get("/v1/health/live").status_code == 200


def test_a_path_tells_all_it_can_be_asked_with(client):
    for method, path, allowed in (
        ("PUT", "/v1/backtests", "GET, POST"),
        ("POST", f"/v1/backtests/{'0' * 32}", "DELETE, GET"),
        ("TRACE", "/v1/signals", "GET"),
        ("HEAD", "/v1/signals", "GET"),
        ("OPTIONS", "/v1/health", "GET"),
    ):
        refused = client.request(method, path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
        assert refused.headers["content-type"] == "application/problem+json"


def counted(client) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_counters(client):
    for path in (f"/v1/signals/{'0' * 32}", f"/v1/signals/{'1' * 32}", "/v1/models/x", "/v1/nothing", "/%00"):
        client.get(path)
    client.request("BREW", "/v1/signals")
    found = counted(client)
    requests = {name: value for name, value in found.items() if "requests_total" in name}
    assert requests == {
        'marketgpt_http_requests_total{method="GET",route="/v1/signals/{signal_id}",status="404"}': 2.0,
        'marketgpt_http_requests_total{method="GET",route="/v1/models/{model_id}",status="404"}': 1.0,
        'marketgpt_http_requests_total{method="GET",route="other",status="404"}': 2.0,
        'marketgpt_http_requests_total{method="other",route="/v1/signals",status="405"}': 1.0,
    }
    assert found['marketgpt_http_request_seconds_count{method="GET",route="/v1/signals/{signal_id}"}'] == 2
    assert found["marketgpt_ledger_signals"] == 4
    assert found["marketgpt_newest_signal_age_seconds"] == 0
    assert found["marketgpt_streams_open"] == 0
    assert found['marketgpt_backtests{status="queued"}'] == 0


def test_counters_outlive_the_ledger(client, sqlite_ledger):
    Path(sqlite_ledger.name).unlink()
    found = counted(client)
    assert found["marketgpt_ledger_up"] == 0
    assert "marketgpt_ledger_signals" not in found


def test_candles_are_asked_for_once_a_minute(client, source):
    assert client.get("/v1/bands?symbol=AAA").status_code == 200
    source.append(DataError("away"))
    assert client.get("/v1/bands?symbol=AAA&width=3").status_code == 200
