"""What an outsider gets from our wheels: his plugins work, a broken one harms nobody.

Run by .ci/wheels in a clean environment with marketgpt, pytest and the wheels of examples/plugins; every step
runs in a folder that is not the repository, and our sources are not on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

SOURCE, NETWORK, STRATEGY, MODEL, BROKEN = "sqlite", "ccxt", "unanimous", "tcn", "broken"
BROKEN_DISTRIBUTION = "marketgpt-broken"
REASON = "ModuleNotFoundError: No module named 'marketgpt_module_that_does_not_exist'"
USER_ERROR = 2
SYMBOLS, NUM_DAYS = ("AAA", "BBB"), 60
COMMANDS = (
    "demo",
    "data",
    "tokenizer",
    "train",
    "evaluate",
    "models",
    "forecast",
    "signals",
    "backtest",
    "verify",
    "serve",
)


def marketgpt(*arguments: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command and insist on its exit status."""
    command = shutil.which("marketgpt", path=str(Path(sys.executable).parent))
    assert command, f"no marketgpt beside {sys.executable}"
    done = subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        # The observer that logs to Weights & Biases hears every training here; none of them calls out.
        env={**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", **environment},
    )
    words = f"marketgpt {' '.join(arguments)}"
    assert done.returncode == expect, (
        f"{words}: status {done.returncode}, not {expect}\n{done.stdout}{done.stderr}"
    )
    return done


def check_that_it_is_ours() -> None:
    """Insist on wheels: a checkout on the path would make all that follows worthless."""
    import marketgpt_core

    home = Path(marketgpt_core.__file__)
    assert "site-packages" in home.parts, f"marketgpt_core comes from {home}"


def check_listing() -> None:
    """The examples are listed as ok, the broken one as broken with its reason."""
    done = marketgpt("plugins", "--json")
    rows = json.loads(done.stdout)
    found = {(row["kind"], row["name"]): row for row in rows}
    expected = {
        ("data-source", SOURCE): "marketgpt-example-source",
        ("data-source", NETWORK): "marketgpt-example-ccxt",
        ("signal-strategy", STRATEGY): "marketgpt-example-strategy",
        ("model", MODEL): "marketgpt-example-model",
    }
    for key, distribution in expected.items():
        assert key in found, f"{key} is not listed"
        assert found[key]["status"] == "ok", found[key]
        assert found[key]["distribution"] == distribution, found[key]
    broken = [row for row in rows if row["status"] == "broken"]
    assert {row["kind"] for row in broken} == {"command", "marketgpt.data_sources"}, broken
    for row in broken:
        assert (row["name"], row["distribution"]) == (BROKEN, BROKEN_DISTRIBUTION), row
        assert row["error"] == REASON, row
    ours = {row["name"] for row in rows if row["distribution"].startswith("marketgpt-data-sources")}
    assert {"sample", "parquet", "csv"} <= ours, f"the broken plugin took ours with it: {ours}"


def check_help() -> None:
    """Help works; the broken command says so in its own line and when it is asked for."""
    done = marketgpt("--help")
    lines = {line.split()[0]: line for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()}
    assert set(COMMANDS) <= set(lines), f"missing: {set(COMMANDS) - set(lines)}"
    assert "(broken)" in lines[BROKEN], lines[BROKEN]
    assert "(broken)" not in "".join(line for name, line in lines.items() if name != BROKEN), done.stdout
    one_line_error(marketgpt(BROKEN, "--what", "ever", expect=USER_ERROR), REASON)


def one_line_error(done: subprocess.CompletedProcess[str], said: str) -> None:
    """Insist that the last line on standard error is an error that says something."""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: "), done.stderr
    assert said in last, f"{said!r} is not in {last!r}"
    assert "Traceback" not in done.stderr, done.stderr


def write_database(path: Path) -> None:
    """Write candles as the source's README says: Unix seconds, UTC midnight, adjusted prices."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE candles (symbol TEXT, interval TEXT, time INTEGER,"
            " open REAL, high REAL, low REAL, close REAL, volume REAL)"
        )
        for symbol in SYMBOLS:
            for day in range(NUM_DAYS):
                at = int((datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day)).timestamp())
                row = (symbol, "1d", at, 100.0 + day, 102.0 + day, 99.0 + day, 101.0 + day, 1_000.0)
                connection.execute("INSERT INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


def check_source(folder: Path) -> None:
    """The example source lists, verifies and gives candles, through our own commands."""
    path = folder / "prices.db"
    write_database(path)
    source = f"{SOURCE}:{path}"
    rows = json.loads(marketgpt("data", "list", "--source", source, "--json").stdout)
    shown = [(row["symbol"], row["candles"], row["first"], row["last"]) for row in rows]
    assert shown == [(symbol, NUM_DAYS, "2024-01-01", "2024-02-29") for symbol in SYMBOLS], shown
    report = json.loads(marketgpt("data", "verify", "--source", source, "--strict", "--json").stdout)
    assert (report["num_rows"], report["num_symbols"]) == (len(SYMBOLS) * NUM_DAYS, len(SYMBOLS)), report
    one_line_error(
        marketgpt("data", "verify", "--source", source, "--symbols", "AAB", expect=USER_ERROR),
        "did you mean 'AAA'",
    )

    saved = folder / "saved"
    marketgpt("data", "fetch", "--source", source, "--store", str(saved))
    from marketgpt_data_sources import load_candles

    ours, theirs = load_candles(f"store:{saved}"), load_candles(source)
    assert theirs["AAA"].close.tolist() == [101.0 + day for day in range(NUM_DAYS)], theirs["AAA"]
    assert ours["BBB"].close.tolist() == theirs["BBB"].close.tolist(), "saved and read back differ"


def check_network_source() -> None:
    """The example that asks exchanges is told from its typing errors; its tests ask a server of their own."""
    listed = marketgpt("data", "list")
    assert f"{NETWORK}:EXCHANGE" in listed.stdout, listed.stdout
    one_line_error(
        marketgpt("data", "list", "--source", f"{NETWORK}:binanse", expect=USER_ERROR),
        "did you mean 'binance'",
    )
    one_line_error(
        marketgpt("data", "list", "--source", NETWORK, expect=USER_ERROR), f"write {NETWORK}:binance"
    )


def check_strategy(folder: Path) -> None:
    """The example strategy makes signals, in Python and through our command."""
    import numpy as np

    from marketgpt_core.plugins import registry
    from marketgpt_core.testing import make_forecast

    made_at = datetime(2016, 1, 5, 22, tzinfo=UTC)
    strategy = registry("signal-strategy").create(STRATEGY)
    for drift, side in ((0.01, "LONG"), (-0.01, "SHORT"), (0.0, "FLAT")):
        forecast = make_forecast(drift=drift)
        signals = strategy.signals(forecast, created_at=made_at)
        assert len(signals) == len(forecast) * len(forecast.horizons), len(signals)
        sides = {str(signal.side) for signal in signals}
        assert sides == {side}, f"drift {drift}: {sides}"
        assert all(np.isfinite(signal.close) and signal.strategy == STRATEGY for signal in signals)
    forecasts, ledger = folder / "forecasts.parquet", folder / "ledger.db"
    make_forecast(drift=0.01).to_frame().to_parquet(forecasts, index=False)
    where = ("--ledger", str(ledger))
    made = marketgpt(
        "signals", "generate", "--forecasts", str(forecasts), *where, "--strategy", STRATEGY, "--json"
    )
    report = json.loads(made.stdout)
    assert report["new"] == report["sides"]["LONG"] > 0, report
    listed = json.loads(marketgpt("signals", "list", *where, "--json").stdout)
    assert {row["strategy"] for row in listed} == {STRATEGY}, listed


def check_model(folder: Path) -> None:
    """The example variant is listed with its size, trained and forecast with, by our commands."""
    rows = {row["name"]: row for row in json.loads(marketgpt("models", "--json").stdout)}
    assert rows[MODEL]["distribution"].startswith("marketgpt-example-model "), rows[MODEL]
    assert rows[MODEL]["parameters"] < rows[MODEL]["presets"]["reduced"], rows[MODEL]
    run, source = folder / "run", "synthetic:garch_t"
    marketgpt(
        "train",
        *("--preset", "demo", "--source", source, "--no-evaluate", f"run_dir={run}"),
        *('data.symbols=["SYN000", "SYN001"]', "data.start=2010-01-01", "engine.name=torch"),
        *(f"model.name={MODEL}", "model.options={num_layers=3, dim=16, context=16}"),
        *("split.train_until=2015-01-01", "split.validation_until=2016-01-01", "loop.max_epochs=1"),
    )
    asked = ("forecast", str(run), "SYN000", "--source", source, "--horizons", "1,5", "--samples", "20")
    made = json.loads(marketgpt(*asked, "--json").stdout)
    assert made["model_id"].startswith(f"{MODEL}-"), made["model_id"]
    assert [row["horizon"] for row in made["forecasts"]] == [1, 5], made


def check_observers(folder: Path) -> None:
    """The training of the example model was logged by both observers, whole."""
    metrics = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [(row["step"], row["loss"]) for row in metrics if row["kind"] == "step"]
    assert steps, metrics
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        asked = "SELECT step, value FROM metrics WHERE key = 'train/loss' ORDER BY step"
        logged = connection.execute(asked).fetchall()
        ((status, name),) = connection.execute("SELECT status, name FROM runs").fetchall()
        lr = connection.execute("SELECT value FROM params WHERE key = 'optim.lr'").fetchall()
    assert logged == steps, (logged[:3], steps[:3])
    assert (status, name, len(lr)) == ("FINISHED", "run", 1), (status, name, lr)
    (written,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    assert written.stat().st_size > 20 * len(steps), written.stat().st_size


def check_conformance() -> None:
    """``plugins check`` runs the suites on what is installed, and they pass."""
    for name in (SOURCE, NETWORK, STRATEGY, MODEL):
        done = marketgpt("plugins", "check", name)
        assert " passed" in done.stdout, done.stdout
        assert "failed" not in done.stdout, done.stdout
    one_line_error(marketgpt("plugins", "check", "unanimou", expect=USER_ERROR), "did you mean 'unanimous'")


def check_switches() -> None:
    """One variable makes a broken plugin an error, another silences it."""
    plain = marketgpt("data", "list")
    assert f"skipping plugin {BROKEN!r} ({BROKEN_DISTRIBUTION} 0.1.0): {REASON}" in plain.stderr, plain.stderr
    assert f"{SOURCE}:FILE" in plain.stdout, plain.stdout
    one_line_error(marketgpt("data", "list", expect=USER_ERROR, MARKETGPT_STRICT_PLUGINS="1"), REASON)
    quiet = marketgpt(
        "data", "list", MARKETGPT_DISABLE_PLUGINS=BROKEN_DISTRIBUTION, MARKETGPT_STRICT_PLUGINS="1"
    )
    assert quiet.stderr == "", quiet.stderr
    assert quiet.stdout == plain.stdout, quiet.stdout
    rows = json.loads(marketgpt("plugins", "--json", MARKETGPT_DISABLE_PLUGINS=BROKEN_DISTRIBUTION).stdout)
    assert {row["status"] for row in rows if row["distribution"] == BROKEN_DISTRIBUTION} <= {"disabled", "ok"}
    assert "broken" not in {row["status"] for row in rows}, rows


def main() -> None:
    """Run every step in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        steps = {
            "wheels, not a checkout": check_that_it_is_ours,
            "plugins from outside are listed, the broken one with its reason": check_listing,
            "help works beside a broken command": check_help,
            f"source {SOURCE!r} gives candles": lambda: check_source(folder),
            f"source {NETWORK!r} knows its exchanges": check_network_source,
            f"strategy {STRATEGY!r} makes signals": lambda: check_strategy(folder),
            f"model {MODEL!r} trains and forecasts": lambda: check_model(folder),
            "observers for Weights & Biases and MLflow logged that training": lambda: check_observers(folder),
            "all pass their conformance suites": check_conformance,
            "strict and disabled": check_switches,
        }
        for what, step in steps.items():
            step()
            sys.stdout.write(f"ok outside: {what}\n")
            sys.stdout.flush()
        os.chdir("/")


if __name__ == "__main__":
    main()
