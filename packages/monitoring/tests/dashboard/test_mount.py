"""The mounted application, asked over HTTP without a server."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from fastapi import FastAPI

from marketgpt_core.errors import ConfigError
from marketgpt_monitoring.dashboard import mount_dashboard


@pytest.fixture
def app(nicegui_sandbox, reader, candles, clock):
    app = FastAPI()
    app.get("/health")(lambda: {"ok": True})
    mount_dashboard(app, reader=reader, candles=candles.get, clock=clock, title="MarketGPT")
    return app


def ask(app, *requests):
    """Start the application, get every (path, parameters), stop it."""

    async def run():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
        ):
            return [await client.get(path, params=parameters) for path, parameters in requests]

    return asyncio.run(run())


def test_the_page_is_served_beside_the_application(app):
    health, moved, page = ask(app, ("/health", {}), ("/dashboard", {}), ("/dashboard/", {}))
    assert health.json() == {"ok": True}
    assert (moved.status_code, moved.headers["location"]) == (307, "http://testserver/dashboard/")
    assert page.status_code == 200
    assert "<title>MarketGPT</title>" in page.text


def test_nothing_is_loaded_from_elsewhere(app):
    (page,) = ask(app, ("/dashboard/", {}))
    assert not re.findall(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(]?\s*(?:https?:)?//""", page.text)
    assets = sorted(
        set(re.findall(r"""["'(](/dashboard/_nicegui/[^"')\s]+\.(?:js|css|mjs))["')]""", page.text))
    )
    assert len(assets) > 5
    for asset, found in zip(assets, ask(app, *((asset, {}) for asset in assets)), strict=True):
        assert found.status_code == 200, asset
        if asset.endswith(".css"):
            assert not re.search(r"""(?:url\(|@import)\s*["']?\s*(?:https?:)?//""", found.text), asset


def test_the_browser_is_told_to_load_and_send_nothing_elsewhere(app):
    page, health = ask(app, ("/dashboard/", {}), ("/health", {}))
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"https?:|\*", page.headers["content-security-policy"])
    assert page.headers["x-content-type-options"] == "nosniff"
    # The application itself is left as it is.
    assert "content-security-policy" not in health.headers


def test_a_hostile_address_is_not_reflected(app):
    hostile = {"symbol": "</script><script>alert(1)</script>", "horizon": "5"}
    page, wrong = ask(app, ("/dashboard/", hostile), ("/dashboard/", {"horizon": "x"}))
    assert page.status_code == 200
    assert "alert(1)" not in page.text
    assert wrong.status_code == 422


def test_a_process_carries_one_dashboard(app, reader, candles):
    with pytest.raises(ConfigError, match="only one dashboard"):
        mount_dashboard(FastAPI(), reader=reader, candles=candles.get)


@pytest.mark.parametrize("path", ["", "/", "dashboard", "/dashboard/", "/a b", "/../x"])
def test_a_path_that_is_none_is_refused(path, reader, candles):
    with pytest.raises(ConfigError, match="dashboard path"):
        mount_dashboard(FastAPI(), reader=reader, candles=candles.get, path=path)


def test_a_poll_interval_has_to_be_positive(reader, candles):
    with pytest.raises(ConfigError, match="poll_interval_s"):
        mount_dashboard(FastAPI(), reader=reader, candles=candles.get, poll_interval_s=0)
