"""A user's mistake is one line and exit status 2, through the real command line, and loses nothing."""

# ruff: noqa: E501 - a table of cases
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from marketgpt_core.cli import main

COMMAND = [sys.executable, "-c", "from marketgpt_core.cli import main; main()"]
TINY = (
    "data.symbols=[]",
    "data.start=2014-01-01",
    "split.train_until=2017-01-01",
    "split.validation_until=2018-01-01",
    "split.embargo_bars=5",
    "horizons=[1,5]",
    "engine.name=torch",
    "model.options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.1}",
    "loop.max_epochs=1",
    "evaluation.horizons=[1,5]",
)
BAD_CSV = """Date,Open,High,Low,Close,Volume
2024-01-02,10,11,9,10.5,100
2024-01-03,10,9.5,9,10.5,100
2024-01-04,10,11,9,10.5,100
2024-01-05,-1,11,9,10.5,100
"""


def contents(folder):
    """Every file with its bytes; a ledger's write-ahead log may come and go."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with sound things and broken things to point commands at."""
    from datetime import UTC, datetime

    from marketgpt_core.plugins import registry
    from marketgpt_core.testing import make_candles, make_forecast
    from marketgpt_data_sources.writing import write_parquet
    from marketgpt_signals.ledger import Ledger
    from marketgpt_training.config import preset
    from marketgpt_training.pipeline import train

    folder = tmp_path_factory.mktemp("world")
    candles = make_candles(("AAPL", "MSFT"), num_candles=1_300, start="2014-01-01")
    for name in ("good", "cut"):
        write_parquet(candles, folder / name)
    whole = (folder / "cut" / "MSFT.parquet").read_bytes()
    (folder / "cut" / "MSFT.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "empty").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad" / "AAPL.csv").write_text(BAD_CSV, encoding="utf-8")
    (folder / "notes.txt").write_text("somebody's notes " * 400, encoding="utf-8")
    config = preset("demo", (f"data.source=parquet:{folder / 'good'}", *TINY))
    for name in ("run", "tampered"):
        train(config, folder / name, candles=candles)
    weights = folder / "tampered" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    forecast = make_forecast(("AAPL", "MSFT"), drift=0.01)
    forecast.to_frame().to_parquet(folder / "forecasts.parquet", index=False)
    with Ledger.open(folder / "ledger.db") as ledger:
        strategy = registry("signal-strategy").create("threshold")
        ledger.append(strategy.signals(forecast, created_at=datetime(2016, 1, 6, tzinfo=UTC)))
    return folder


TRAIN = "train --preset demo --source parquet:good"
TINY_TEXT = " ".join(TINY)
GENERATE = "signals generate --forecasts forecasts.parquet --ledger ledger.db"

CASES = {
    # commands and presets
    "command": ("trian --preset demo", "no such command 'trian'; did you mean 'train'?"),
    "subcommand": ("signals lst --ledger ledger.db", "No such command 'lst'"),
    "option": ("serve . --prot 80", "--prot"),
    "preset": ("train --preset dmo", "unknown preset 'dmo'; did you mean 'demo'?"),
    # plugins by name
    "model": (f"{TRAIN} {TINY_TEXT} model.name=market_gtp run_dir=new", "did you mean 'market_gpt'?"),
    "tokenizer": (f"{TRAIN} {TINY_TEXT} tokenizer.name=ohcl run_dir=new", "did you mean 'ohlc'?"),
    "engine": (f"{TRAIN} {TINY_TEXT} engine.name=torhc run_dir=new", "did you mean 'torch'?"),
    "source": (f"train --preset demo --source parqet:good {TINY_TEXT} run_dir=new", "did you mean 'parquet'?"),
    "source of data": ("data list --source sampel", "unknown data-source 'sampel'; did you mean 'sample'?"),
    "strategy": (f"{GENERATE} --strategy treshold", "did you mean 'threshold'?"),
    "detector": ("monitor check --ledger ledger.db --detector adwn", "did you mean 'adwin'?"),
    "channel": ("monitor check --ledger ledger.db --channel lgo", "did you mean 'log'?"),
    "tokenizer to fit": (
        "tokenizer fit --input good/AAPL.parquet --out tok.json --kind ohcl", "did you mean 'ohlc'?",
    ),
    "plugin to check": ("plugins check treshold", "no plugin provides 'treshold'; did you mean 'threshold'?"),
    # symbols
    "symbol of training": (f"{TRAIN} {TINY_TEXT} data.symbols=[\"APPL\"] run_dir=new", "did you mean 'AAPL'?"),
    "symbol of data": ("data verify --source parquet:good --symbols APPL", "did you mean 'AAPL'?"),
    "symbol of forecast": ("forecast run APPL --source parquet:good", "did you mean 'AAPL'?"),
    "symbol of evaluate": ("evaluate run --symbols APPL", "did you mean 'AAPL'?"),
    "hostile symbol": ("data fetch --source parquet:good --symbols ../../x --store new", "is not a symbol"),
    # keys
    "key": (f"{TRAIN} {TINY_TEXT} loop.max_epoch=3 run_dir=new", "did you mean 'max_epochs'?"),
    "key of a model": (f"{TRAIN} {TINY_TEXT} model.options.contxt=3 run_dir=new", "did you mean 'context'?"),
    "key of a strategy": (f"{GENERATE} long_treshold=0.6", "did you mean 'long_threshold'?"),
    "key of a backtest": (
        "backtest --ledger ledger.db --source parquet:good --horizon 5 cost.fee_bp=3", "did you mean 'fee_bps'?",
    ),
    "key of a detector": ("monitor check --ledger ledger.db adwin.detla=0.1", "did you mean 'delta'?"),
    "value": (f"{TRAIN} {TINY_TEXT} optim.lr=-1 run_dir=new", "optim.lr"),
    "not a pair": (f"{TRAIN} {TINY_TEXT} nonsense run_dir=new", "'nonsense'"),
    # data
    "impossible candles": (f"train --preset demo --source csv:bad {TINY_TEXT} run_dir=new", "row 3 2024-01-05"),
    "impossible candles of one file": (
        "tokenizer fit --input bad/AAPL.csv --out tok.json --symbol AAPL", "row 1",
    ),
    "empty folder": (f"train --preset demo --source parquet:empty {TINY_TEXT} run_dir=new", "empty"),
    "no folder": ("data list --source parquet:nowhere", "nowhere"),
    "cut file": (f"train --preset demo --source parquet:cut {TINY_TEXT} run_dir=new", "MSFT.parquet"),
    "cut file of one": ("tokenizer fit --input cut/MSFT.parquet --out tok.json", "MSFT.parquet"),
    "too short": (f"{TRAIN} {TINY_TEXT} data.end=2014-02-01 run_dir=new", "2014"),
    # places that cannot be written
    "run folder in a file": (f"{TRAIN} {TINY_TEXT} run_dir=notes.txt/run", "notes.txt/run"),
    "demo as a file": ("demo --out notes.txt", "notes.txt is a file, not a folder"),
    "demo in a file": ("demo --out notes.txt/demo", "notes.txt"),
    "fetch in a file": ("data fetch --source parquet:good --store notes.txt/x", "notes.txt"),
    "tokenizer in a file": ("tokenizer fit --input good/AAPL.parquet --out notes.txt/x.json", "notes.txt/x.json"),
    "ledger in a file": (
        "signals generate --forecasts forecasts.parquet --ledger notes.txt/l.db", "notes.txt/l.db",
    ),
    "forecast in a file": ("forecast run AAPL --source parquet:good --out notes.txt/f.parquet", "notes.txt"),
    "export in a file": ("signals export --ledger ledger.db --out notes.txt/x.csv", "notes.txt"),
    # runs
    "run that was tampered with": ("evaluate tampered", "model.safetensors is not the file this run was sealed"),
    "forecast of a tampered run": (
        "forecast tampered AAPL --source parquet:good", "model.safetensors is not the file this run was sealed",
    ),
    "no run": ("evaluate nowhere", "nowhere is not a run: no such folder"),
    "a folder that is no run": ("forecast good AAPL --source parquet:good", "it has no manifest.json"),
    "a run that is there": (f"{TRAIN} {TINY_TEXT} run_dir=run", "already holds a finished run"),
    # ledgers
    "no ledger": ("signals list --ledger nowhere.db", "nowhere.db"),
    "a ledger that is none": ("signals list --ledger notes.txt", "notes.txt"),
    "a ledger to write that is none": (
        "signals generate --forecasts forecasts.parquet --ledger notes.txt", "notes.txt",
    ),
    "serve without a ledger": ("serve empty", "ledger.db"),
    "forecasts that are none": ("signals generate --forecasts notes.txt --ledger new.db", "notes.txt"),
    "candles as forecasts": ("signals generate --forecasts good/AAPL.parquet --ledger new.db", "AAPL.parquet"),
    # horizons, dates, intervals, numbers
    "horizons that are words": ("forecast run AAPL --source parquet:good --horizons 1,x", "'1,x'"),
    "horizon of nothing": ("forecast run AAPL --source parquet:good --horizons 0", "0"),
    "as-of that is no date": ("forecast run AAPL --source parquet:good --as-of 2026-13-45", "2026-13-45"),
    "as-of and a range": (
        "forecast run AAPL --source parquet:good --as-of 2018-01-01 --from 2018-01-01", "not both",
    ),
    "range that is empty": ("forecast run AAPL --source parquet:good --from 2031-01-01", "2031-01-01"),
    "date of evaluate": ("evaluate run --from yesterday", "yesterday"),
    "date of signals": ("signals list --ledger ledger.db --since yesterday", "yesterday"),
    "date in a preset": (f"{TRAIN} {TINY_TEXT} split.train_until=soon run_dir=new", "split.train_until"),
    "split upside down": (f"{TRAIN} {TINY_TEXT} split.train_until=2020-01-01 run_dir=new", "must come before"),
    "interval": ("data list --source parquet:good --interval 1x", "'1x'"),
    "horizon of backtest": (
        "backtest --ledger ledger.db --source parquet:good --horizon 7", "no signals for --horizon 7",
    ),
    "horizon of signals": ("signals list --ledger ledger.db --horizon 0", "--horizon"),
    "side": ("signals list --ledger ledger.db --side UP", "--side"),
    "host": ("serve . --host 0.0.0.0", "every request needs an API key"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_mistake_is_one_line_that_helps_and_loses_nothing(world, monkeypatch, capfd, case):
    text, said = CASES[case]
    monkeypatch.chdir(world)
    before = contents(world)
    with pytest.raises(SystemExit) as stop:
        main(text.split(" "))
    out, err = capfd.readouterr()
    assert stop.value.code == 2, err
    assert out == ""
    lines = err.splitlines()
    assert lines[-1].startswith("error: "), err
    assert said in lines[-1]
    assert len(lines) == 1, err
    # A line for people, not a dump.
    assert len(lines[0]) < 1_000
    assert contents(world) == before


@pytest.mark.parametrize("case", ["command", "preset", "symbol of data", "impossible candles of one file"])
def test_a_process_says_the_same_without_a_warning_beside_it(world, case):
    text, said = CASES[case]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        [*COMMAND, *text.split(" ")], cwd=world, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_row_of_an_impossible_file_is_told(world, monkeypatch, capsys):
    monkeypatch.chdir(world)
    with pytest.raises(SystemExit):
        main(["data", "list", "--source", "csv:bad"])
    err = capsys.readouterr().err
    assert "bad/AAPL.csv" in err
    assert "row 1 2024-01-03 high below open" in err
    assert "row 3 2024-01-05 price is not positive" in err
