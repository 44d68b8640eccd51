from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from marketgpt_core.signal import Outcome, Side
from marketgpt_signals.api import create_app, models
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.schema import SCHEMA_VERSION


@pytest.fixture(scope="module")
def signals(make_signal):
    return [
        make_signal(0, probability=0.6),
        make_signal(1, side=Side.SHORT, probability=0.3),
        make_signal(30, side=Side.FLAT, probability=0.5),
        make_signal(0, symbol="BTC-USD", horizon_bars=10, probability=0.9),
    ]


def fill(ledger: Ledger, signals) -> None:
    ledger.append(signals)
    at = datetime(2016, 1, 12, tzinfo=UTC)
    ledger.write_outcomes([Outcome(signals[0].id, at, at, 100.0, 101.0, 0.01, 0.0086, 14.1, True, False, at)])


@pytest.fixture
def client(ledger, signals, clock, make_client):
    """A client of its own, for tests that move the clock or harm the ledger."""
    fill(ledger, signals)
    return make_client(create_app(ledger, clock=clock))


@pytest.fixture(scope="module")
def reader(tmp_path_factory, signals, make_client):
    """A client for all the tests that only read."""
    with Ledger.open(tmp_path_factory.mktemp("api") / "ledger.db") as ledger:
        fill(ledger, signals)
        yield make_client(create_app(ledger))


def problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == status
    assert content["title"]
    assert content["detail"]
    return content


def ids(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


def test_signals_are_shown_whole(reader, signals):
    shown = reader.get("/v1/signals", params={"symbol": "BTC-USD"}).json()
    assert shown["next_cursor"] is None
    assert shown["items"] == [
        {
            "id": signals[3].id,
            "symbol": "BTC-USD",
            "as_of": "2016-01-04T00:00:00Z",
            "horizon_bars": 10,
            "interval": "1d",
            "side": "LONG",
            "probability": 0.9,
            "confidence": 0.2,
            "close": 100.0,
            "bands": {"q05": 95.0, "q25": 98.0, "q50": 101.0, "q75": 104.0, "q95": 108.0},
            "expires_at": "2016-01-12T00:00:00Z",
            "created_at": "2016-02-01T21:30:00Z",
            "strategy": "threshold",
            "model_id": "model-1",
            "data_fingerprint": "f" * 64,
            "reason": "because",
            "size": 1.0,
            "code_revision": "",
            "expired": True,
        }
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1, 3, 0]),
        ("symbol=AAA", [2, 1, 0]),
        ("horizon=10", [3]),
        ("side=SHORT", [1]),
        ("min_probability=0.7", [1, 3]),
        ("since=2016-01-05", [2, 1]),
        ("since=2016-01-05T01:00:00%2B01:00", [2, 1]),
        ("since=2016-01-05T00:00:01Z", [2]),
        ("latest=true", [2, 3]),
        ("latest=true&side=LONG", [3]),
        ("limit=1", [2]),
        ("symbol=ZZZ", []),
    ],
)
def test_filters(reader, signals, query, expected):
    assert ids(reader.get(f"/v1/signals?{query}")) == [signals[position].id for position in expected]


def test_pages(reader, signals):
    seen, cursor = [], None
    for _ in range(4):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = reader.get("/v1/signals", params=params)
        seen += ids(page)
        cursor = page.json()["next_cursor"]
    assert cursor is None
    assert sorted(seen) == sorted(signal.id for signal in signals)


def test_expiry_follows_the_clock(client, signals, clock):
    def expired() -> bool:
        return client.get(f"/v1/signals/{signals[2].id}").json()["signal"]["expired"]

    clock.advance(signals[2].expires_at - clock.now() - timedelta(seconds=1))
    assert expired() is False
    clock.advance(timedelta(seconds=1))
    assert expired() is True


def test_one_signal_with_and_without_its_outcome(reader, signals):
    resolved = reader.get(f"/v1/signals/{signals[0].id}").json()
    assert resolved["signal"]["id"] == signals[0].id
    assert resolved["outcome"] == {
        "signal_id": signals[0].id,
        "entry_at": "2016-01-12T00:00:00Z",
        "exit_at": "2016-01-12T00:00:00Z",
        "entry_price": 100.0,
        "exit_price": 101.0,
        "forecast_return": 0.01,
        "net_return": 0.0086,
        "cost_bps": 14.1,
        "hit": True,
        "inside_90": False,
        "resolved_at": "2016-01-12T00:00:00Z",
    }
    assert reader.get(f"/v1/signals/{signals[1].id}").json()["outcome"] is None
    unknown = problem(reader.get(f"/v1/signals/{'0' * 32}"), 404)
    assert unknown["detail"] == f"no signal has the id {'0' * 32}"


def test_outcomes(reader, signals):
    shown = reader.get("/v1/outcomes").json()
    assert shown["next_cursor"] is None
    assert [item["signal"]["id"] for item in shown["items"]] == [signals[0].id]
    assert shown["items"][0]["outcome"]["net_return"] == 0.0086
    assert reader.get("/v1/outcomes?symbol=BTC-USD").json()["items"] == []
    problem(reader.get("/v1/outcomes?min_probability=0.5"), 422)


def test_health(client, clock, ledger, tmp_path, make_client):
    clock.advance(timedelta(minutes=1))
    content = client.get("/v1/health").json()
    assert content.pop("version").count(".") == 2
    assert content == {
        "status": "ok",
        "newest_as_of": "2016-02-03T00:00:00Z",
        "newest_created_at": "2016-02-01T21:30:00Z",
        "age_s": 60.0,
        "schema_version": SCHEMA_VERSION,
        "counts": {"signals": 4, "outcomes": 1, "events": 0},
    }
    with Ledger.open(tmp_path / "empty.db") as empty:
        content = make_client(create_app(empty)).get("/v1/health").json()
        assert (content["status"], content["age_s"], content["counts"]["signals"]) == ("empty", None, 0)


@pytest.mark.parametrize("path", ["/v1/health", "/v1/signals", f"/v1/signals/{'0' * 32}", "/v1/outcomes"])
@pytest.mark.parametrize("harm", ["delete", "rubbish"])
def test_a_ledger_that_cannot_be_read_is_a_503_that_names_no_path(sqlite_ledger, make_client, path, harm):
    client = make_client(create_app(sqlite_ledger))
    file = Path(sqlite_ledger.name)
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(b"rubbish" * 1_000)
    response = client.get(path)
    assert problem(response, 503)["detail"] == "the ledger cannot be read"
    assert str(file.parent) not in response.text


HOSTILE = [
    "'; DROP TABLE signals; --",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\x00",
    "A" * 8_000,
    "%s%s%n",
    "AAA\n",
    "ÀÀÀ",
    "\ud7ff",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "",
    " ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_symbols_are_refused_and_change_nothing(reader, text):
    for path in ("signals", "outcomes"):
        response = reader.get(f"/v1/{path}?symbol={quote(text)}")
        content = problem(response, 422)
        assert content["errors"][0]["where"] == "query.symbol"
        assert len(response.text) < 1_000
    assert (
        reader.get(f"/v1/signals/{quote(text, safe='')}").status_code in {307, 404, 422} or not text.strip()
    )
    assert len(ids(reader.get("/v1/signals"))) == 4


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=99999999999999999999",
        "horizon=0", "horizon=1e3", "horizon=100001", "horizon=" + "9" * 5_000,
        "min_probability=1.1", "min_probability=-0.1", "min_probability=nan", "min_probability=inf",
        "side=UP", "side=long'", "latest=perhaps", "symbl=AAA", "cursor=", "cursor=abc", "cursor=%ff",
        "cursor=" + "A" * 128, "cursor=" + "A" * 129, "cursor=..%2f",
        "since=2016", "since=yesterday", "since=2016-13-01", "since=9999-12-31T23:59:59-05:00",
        "since=0001-01-01T00:00:00%2B05:00", "since=-99999999", "since=2016-01-05T00:00:00Zx",
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(reader, query):
    response = reader.get(f"/v1/signals?{query}")
    content = problem(response, 422)
    assert content["errors"][0]["where"].startswith("query.")
    assert len(response.text) < 1_000


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/signals/../../x", "/%00", "/v2/signals"])
def test_unknown_paths_are_problems(reader, path):
    problem(reader.get(path), 404)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_written(reader, method):
    for path in ("/v1/signals", f"/v1/signals/{'0' * 32}", "/v1/outcomes", "/v1/health"):
        response = getattr(reader, method)(path)
        problem(response, 405)
        assert response.headers["allow"] == "GET"


def test_a_defect_is_a_500_without_its_traceback(client, ledger, monkeypatch, caplog):
    monkeypatch.setattr(ledger, "summary", lambda: 1 / 0)
    content = problem(client.get("/v1/health"), 500)
    assert "division" not in json.dumps(content)
    assert "/v1/health failed" in caplog.text


def test_the_documentation_needs_no_network(reader):
    page = reader.get("/docs")
    assert page.status_code == 200
    assert "MarketGPT signals" in page.text
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert len(links) >= 3
    for link in links:
        assert link.startswith("/"), link
        assert not link.startswith("//"), link
        asset = reader.get(link)
        assert asset.status_code == 200, link
        assert len(asset.content) > 1_000, link
    assert "https://" not in page.text
    assert "http://" not in page.text
    script = reader.get(next(link for link in links if link.endswith(".js"))).text
    assert "SwaggerUIBundle" in script


def test_the_schema_describes_problems_and_its_examples_are_true(reader):
    schema = reader.get("/openapi.json").json()
    read_only = {
        "/v1/signals", "/v1/signals/latest", "/v1/signals/{signal_id}", "/v1/outcomes", "/v1/stream",
        "/v1/bands", "/v1/forecasts", "/v1/models", "/v1/models/{model_id}", "/v1/health", "/v1/health/live",
        "/v1/health/ready", "/metrics",
    }  # fmt: skip
    assert set(schema["paths"]) == {*read_only, "/v1/backtests", "/v1/backtests/{job_id}"}
    operations = [
        (method, operation) for path in schema["paths"].values() for method, operation in path.items()
    ]
    assert {method for path in read_only for method in schema["paths"][path]} == {"get"}
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names) == len(operations)
    for method, operation in operations:
        assert operation["tags"]
        for status, answer in operation["responses"].items():
            if status == "304":
                assert method == "get"
            elif not status.startswith("2"):
                assert list(answer["content"]) == ["application/problem+json"], operation["operationId"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]


MODELS = [
    model
    for model in vars(models).values()
    if isinstance(model, type)
    and issubclass(model, BaseModel)
    and "examples" in (model.model_config.get("json_schema_extra") or {})
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_examples_are_what_the_models_take(model):
    for example in model.model_json_schema()["examples"]:
        shown = model.model_validate(example).model_dump(mode="json")
        assert {name: shown[name] for name in example} == shown or model is models.BacktestRequest


def test_every_answer_and_request_has_an_example(reader):
    """Its own, or one in each of its fields."""
    schemas = reader.get("/openapi.json").json()["components"]["schemas"]
    plain = {name: one for name, one in schemas.items() if "enum" not in one}
    assert len(plain) > 20
    without = {
        f"{name}.{field}"
        for name, one in plain.items()
        if "examples" not in one and name not in {"SignalPage", "ResolvedPage", "ModelList"}
        for field, about in one["properties"].items()
        if "examples" not in about and "default" not in about
    }
    # Parts of what has an example as a whole.
    parts = {"BandsOut", "CoverageOut", "Counts", "HorizonOut", "NewestBands"}
    assert {one.partition(".")[0] for one in without} <= parts


def test_the_title_is_the_owners(ledger, make_client):
    client = make_client(create_app(ledger, title="Desk 7"))
    assert client.get("/openapi.json").json()["info"]["title"] == "Desk 7"
