"""Every operation of the schema, asked with all that a machine can think of."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, settings

from marketgpt_core.signal import Outcome
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.api import create_app
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.records import RunRecord
from marketgpt_signals.registry import strategies

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette would rather have another httpx
    import schemathesis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    writing = pytest.importorskip("marketgpt_data_sources.writing")
    folder = tmp_path_factory.mktemp("contract")
    candles = make_candles(["AAPL", "BTC-USD"], num_candles=200)
    writing.write_parquet(candles, folder / "candles")
    days = [str(day)[:10] for day in candles["AAPL"].time[100:140]]
    forecast = make_forecast(candles.symbols, as_of=days, drift=0.001)
    forecast.to_frame().to_parquet(folder / "forecasts.parquet")
    signals = strategies().create("threshold").signals(forecast, created_at=AT)
    with Ledger.open(folder / "ledger.db") as ledger:
        ledger.append(signals)
        ledger.record_run(RunRecord("run-1", "runs/1", {"nll": 1.0}, AT))
        ledger.write_outcomes(
            [Outcome(one.id, AT, AT, 1.0, 1.1, 0.1, 0.09, 14.0, True, True, AT) for one in signals[:20]]
        )
        app = create_app(
            ledger, source=f"parquet:{folder / 'candles'}", forecasts=folder / "forecasts.parquet"
        )
        # Streams end when they have caught up: nobody could wait for more.
        app.state.serving.feed.close()
        # Jobs stay in the queue: each would be a process of its own.
        app.state.serving.runner.start = lambda: None
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("contract")


@schema.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_a_documented_one(case):
    case.call_and_validate()
