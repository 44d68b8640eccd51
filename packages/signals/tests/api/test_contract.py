"""Every operation of the schema, asked with all that a machine can think of."""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from marketgpt_core.signal import Outcome
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.api import Limits, create_app
from marketgpt_signals.api.security.keys import Scope
from marketgpt_signals.api.security.store import KeyStore
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.records import RunRecord
from marketgpt_signals.registry import strategies

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette would rather have another httpx
    import schemathesis
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import positive_data_acceptance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLES = int(os.environ.get("MARKETGPT_EXAMPLES", "40"))
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
        _, key = KeyStore(ledger.database).create("everything", [*Scope], AT)
        app = create_app(
            ledger,
            source=f"parquet:{folder / 'candles'}",
            forecasts=folder / "forecasts.parquet",
            require_key=True,
            limits=Limits(requests="1000000/second"),
        )
        # Streams end when they have caught up: nobody could wait for more.
        app.state.serving.feed.close()
        # Jobs stay in the queue: each would be a process of its own.
        app.state.serving.runner.start = lambda: None
        yield schemathesis.openapi.from_asgi("/openapi.json", app), {"Authorization": f"Bearer {key}"}


MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


def ask_all(operation, mode, headers) -> int:
    """Ask an operation with a key, and as schemathesis thinks of without; return how often."""
    asked = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        asked.append(case)
        # That a cursor is one of ours, or a moment of this calendar, no schema can say.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    ask()
    return len(asked)


@pytest.mark.parametrize("mode", MODES, ids=["allowed", "forbidden"])
def test_every_answer_is_a_documented_one(contract, mode):
    """What the schema allows and what it forbids: no 5xx but those stated, every answer as described."""
    asked, wrong = {}, []
    schema, headers = contract
    for operation in (result.ok() for result in schema.get_all_operations()):
        try:
            asked[operation.label] = ask_all(operation, mode, headers)
        except Unsatisfiable:
            continue  # it takes nothing, so nothing is forbidden
        except Exception as error:  # noqa: BLE001 - of all operations, told together
            wrong.append(f"{operation.label}: {error!s:.1500}")
    print(asked)
    assert not wrong, "\n\n".join(wrong)
    assert len(asked) >= 12
