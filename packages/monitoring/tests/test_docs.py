"""The listings of docs/plugins/monitoring.md, taken from the page and put to the contract."""

from __future__ import annotations

import json
import re
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from marketgpt_monitoring.base import Alert, DeliveryError, Severity
from marketgpt_monitoring.calibration import detection_delay, false_alarms
from marketgpt_monitoring.testing import (
    AlertChannelConformance,
    DashboardPanelConformance,
    DriftDetectorConformance,
)

PAGE = Path(__file__).parents[3] / "docs" / "plugins" / "monitoring.md"
README = Path(__file__).parents[1] / "README.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="not a checkout: the page is not here")


def listings() -> dict[str, str]:
    return dict(
        re.findall(r"`(\S+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    )


@pytest.fixture(scope="module")
def desk():
    """The package of the page, its modules made from its listings."""
    package = ModuleType("marketgpt_desk")
    package.__path__ = []
    made = {"marketgpt_desk": package}
    for name in ("plugin", "webhook", "ewma", "sides"):
        module = ModuleType(f"marketgpt_desk.{name}")
        made[module.__name__] = module
        sys.modules |= made
        exec(compile(listings()[f"src/marketgpt_desk/{name}.py"], name, "exec"), module.__dict__)
        setattr(package, name, module)
    yield package
    for name in made:
        del sys.modules[name]


class TestWebhook(AlertChannelConformance):
    @pytest.fixture
    def implementation(self, desk):
        return desk.webhook.WebhookChannel(desk.webhook.WebhookChannel.Config())


class TestEwma(DriftDetectorConformance):
    @pytest.fixture
    def implementation(self, desk):
        return desk.ewma.EwmaDetector(desk.ewma.EwmaDetector.Config())


class TestSides(DashboardPanelConformance):
    @pytest.fixture
    def implementation(self, desk):
        return desk.sides.SidesPanel(desk.sides.SidesPanel.Config())


def test_the_hooks_name_what_is_there(desk):
    for hook in ("alert_channels", "drift_detectors", "dashboard_panels"):
        ((_, target),) = getattr(desk.plugin, f"marketgpt_{hook}")().items()
        module, name = target.split(":")
        assert hasattr(sys.modules[module], name)


def test_the_test_listing_runs(desk):
    module: dict[str, object] = {"__name__": "test_desk"}
    exec(listings()["tests/test_desk.py"], module)
    assert {"TestWebhook", "TestEwma", "TestSides"} <= set(module)


def test_the_webhook_posts_the_alert_without_secrets(desk):
    received = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    labels = {"horizon": "5", "api_key": "s3cret"}
    alert = Alert(
        "Title", "Text", Severity.CRITICAL, datetime(2024, 3, 1, tzinfo=UTC), key="k", labels=labels
    )
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            config = desk.webhook.WebhookChannel.Config
            base = f"http://127.0.0.1:{server.server_port}"
            desk.webhook.WebhookChannel(config(url=f"{base}/alerts")).send(alert)
            with pytest.raises(DeliveryError, match="HTTP Error 500"):
                desk.webhook.WebhookChannel(config(url=f"{base}/broken")).send(alert)
        finally:
            server.shutdown()
            thread.join()
    assert received[0] == {
        "key": "k",
        "severity": "critical",
        "at": "2024-03-01",
        "text": "Title\nText",
        "labels": {"horizon": "5", "api_key": "***"},
    }


def test_the_ewma_chart_is_a_sound_detector(desk):
    def make():
        return desk.ewma.EwmaDetector(desk.ewma.EwmaDetector.Config())

    assert false_alarms(make, num_streams=20, num_points=2_000).per_10_000 < 5
    assert detection_delay(make, 2.0, num_streams=20).median < 15


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example = re.search(r"## Ten lines\n\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(example.group(1), {})
    printed = capsys.readouterr().out.strip()
    assert printed == re.search(r"# (ok: .*)", example.group(1)).group(1)
