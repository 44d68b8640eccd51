from __future__ import annotations

import pytest

from marketgpt_signals.api import create_app

ALL = {"401", "403", "408", "413", "414", "429", "503"}


@pytest.fixture
def schema(sqlite_ledger):
    def make(**options):
        app = create_app(sqlite_ledger, **options)

        @app.post("/v1/new-tomorrow")
        def new() -> str:
            return ""

        assert app.openapi() is app.openapi()
        return app.openapi()

    return make


def operations(schema):
    return {
        (method, path): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_tells_how_it_refuses_one_of_tomorrow_too(schema):
    found = operations(schema())
    assert ("post", "/v1/new-tomorrow") in found
    for (method, path), operation in found.items():
        open_to_all = path == "/v1/health/live"
        assert set(operation["responses"]) & ALL == (ALL - {"401", "403", "503"} if open_to_all else ALL)
        assert ("security" in operation) is not open_to_all, path
        assert "Retry-After" in operation["responses"]["429"]["headers"]
        for status in set(operation["responses"]) & ALL:
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], (method, path, status)


def test_each_route_names_its_scope_and_whether_a_key_is_needed(schema):
    scopes = {
        ("get", "/v1/signals"): "read", ("post", "/v1/backtests"): "backtest",
        ("delete", "/v1/backtests/{job_id}"): "backtest", ("get", "/metrics"): "metrics",
        ("post", "/v1/new-tomorrow"): "backtest",
    }  # fmt: skip
    free, strict = schema(), schema(require_key=True)
    assert set(free["components"]["securitySchemes"]) == {"bearer", "header"}
    for where, scope in scopes.items():
        either = [{"bearer": [scope]}, {"header": [scope]}]
        assert operations(strict)[where]["security"] == either
        assert operations(free)[where]["security"] == [{}, *either]


def test_what_a_route_said_itself_stays(schema):
    answers = operations(schema())["post", "/v1/backtests"]["responses"]
    assert {"202", "400", "422", "429"} <= set(answers)
    assert "Location" in answers["202"]["headers"]
