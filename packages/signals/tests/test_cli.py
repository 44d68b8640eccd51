from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marketgpt_core.cli.root import main
from marketgpt_core.files import write_json
from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.provenance import running_code

CANDLES = make_candles(["AAA", "BBB"], num_candles=60, start="2016-01-04")


DAYS = [str(moment)[:10] for moment in CANDLES["AAA"].time[:25]]


@pytest.fixture(scope="module")
def forecasts(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "f.parquet"
    made = make_forecast(["AAA", "BBB"], as_of=DAYS, horizons=(2, 5), drift=0.002, num_samples=200)
    made.to_frame().to_parquet(path)
    return path


@pytest.fixture(scope="module")
def full(forecasts):
    """A ledger to read."""
    path = forecasts.parent / "full.db"
    with pytest.raises(SystemExit) as stop:
        main(["signals", "generate", "--forecasts", str(forecasts), "--ledger", str(path)])
    assert stop.value.code == 0
    return path


@pytest.fixture
def cli(tmp_path, forecasts, monkeypatch, command_line):
    """Run a command line in a folder with forecasts; returns (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    Path("f.parquet").write_bytes(forecasts.read_bytes())
    return command_line(CANDLES)


def ok(result: tuple[int, str, str]):
    status, out, err = result
    assert status == 0, err
    return out


def test_the_whole_way(cli):
    made = json.loads(ok(cli("signals generate --forecasts f.parquet --ledger l.db --json")))
    assert made["signals"] == made["new"] == sum(made["sides"].values()) == 100
    assert made["sides"]["LONG"] > 25
    assert "; 0 new in l.db" in ok(cli("signals generate --forecasts f.parquet --ledger l.db"))

    listed = json.loads(ok(cli("signals list --ledger l.db --json --latest --symbol AAA")))
    assert [(one["symbol"], one["as_of"][:10]) for one in listed] == [
        ("AAA", str(CANDLES["AAA"].time[24])[:10])
    ] * 2
    table = ok(cli("signals list --ledger l.db --limit 3 --side long --horizon 5 --min-probability 0.6"))
    assert len(table.splitlines()) == 4
    assert "(expired)" in table
    assert "bps of costs" in table

    done = json.loads(ok(cli("signals resolve --ledger l.db --source test --json")))
    # All 25 signals of each symbol and horizon end within the 60 candles.
    assert done == {"resolved": 100, "open": 0, "unresolved": [], "unreached": {}}
    assert ok(cli("signals resolve --ledger l.db --source test")).startswith(
        "0 signals resolved, 0 still open"
    )

    assert "100 signals in out.csv" in ok(cli("signals export --ledger l.db --out out.csv"))
    assert len(Path("out.csv").read_text().splitlines()) == 101

    tested = json.loads(
        ok(cli("backtest --ledger l.db --source test --horizon 5 --json seed=3 --out b.json"))
    )
    assert tested["config"]["horizon_bars"] == 5
    assert tested["config"]["seed"] == 3
    assert tested["costs_paid"] > 0
    assert tested["trades"]["num_closed"] + tested["trades"]["num_flat"] == 50
    written = json.loads(Path("b.json").read_text())
    assert written["series"]["equity"][0] == 1.0
    assert written["net"] == tested["net"]
    text = ok(cli("backtest --ledger l.db --source test --horizon 5"))
    assert "buy and hold" in text
    assert "profit factor" in text


def test_a_backtest_draws_itself(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    told = ok(cli("backtest --ledger l.db --source test --horizon 5 --html t.html --quantstats q.html"))
    assert told.endswith("drawn in t.html\ndrawn in q.html\n")
    text = Path("t.html").read_text()
    assert "50 of l.db" in text
    assert "Backtest of threshold" in text
    assert "threshold, 5 bars" in Path("q.html").read_text()


def test_options_reach_the_strategy_and_the_costs(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db horizons=[5] round_trip_cost_bps=5000"))
    listed = json.loads(ok(cli("signals list --ledger l.db --json --limit 500")))
    assert {one["side"] for one in listed} == {"FLAT"}
    assert {one["horizon_bars"] for one in listed} == {5}
    # With one horizon in the ledger there is nothing to choose.
    free = json.loads(ok(cli("backtest --ledger l.db --source test --json cost.fee_bps=0")))
    assert free["config"]["cost"]["fee_bps"] == 0
    assert free["exposure"] == 0


def test_symbols_without_candles_are_told_apart(cli):
    make_forecast(["AAA", "CCC"], as_of=DAYS[:5], horizons=(2,)).to_frame().to_parquet("f.parquet")
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    _, out, err = cli("signals resolve --ledger l.db --source test")
    assert out == "5 signals resolved, 5 still open\n"
    assert err == "CCC: 5 signals cannot be resolved: test does not have it\n"
    again = json.loads(ok(cli("signals resolve --ledger l.db --source test --json")))
    assert [(one["symbol"], len(one["signals"])) for one in again["unresolved"]] == [("CCC", 5)]
    with Ledger.open("l.db") as ledger:
        assert [event.payload for event in ledger.events(kind="unresolved")] == again["unresolved"]


def test_signals_the_candles_do_not_reach_are_told(cli):
    make_forecast(["AAA"], as_of=[*DAYS[:5], "2030-01-01"], horizons=(2,)).to_frame().to_parquet("f.parquet")
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    status, _, err = cli("backtest --ledger l.db --source test")
    assert status == 0
    assert "\n1 signals are outside the candles and were left out\n" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("signals list --ledger none.db", "there is no ledger at none.db"),
        ("signals generate --forecasts none.parquet --ledger l.db", "cannot read none.parquet"),
        ("signals generate --forecasts f.parquet --ledger f.parquet", "file is not a database"),
        (
            "signals generate --forecasts f.parquet --ledger l.db --strategy treshold",
            "did you mean 'threshold'?",
        ),
        ("signals generate --forecasts f.parquet --ledger l.db long_treshold=0.6", "'long_threshold'?"),
        ("signals generate --forecasts f.parquet --ledger l.db long_threshold=0.4", "greater than 0.5"),
        ("signals generate --forecasts f.parquet --ledger l.db horizons=[3]", "no forecast for 3 bars"),
        ("signals list --ledger full.db --symbol ../x", "is not a symbol (from --symbol)"),
        ("signals list --ledger full.db --since tomorrow", "'tomorrow' is not a date"),
        ("signals list --ledger full.db --min-probability 2", "0<=x<=1"),
        (
            "signals generate --forecasts f.parquet --ledger l.db --max-age 3",
            "'3' is not an age (from --max-age)",
        ),
        (
            "signals generate --forecasts f.parquet --ledger l.db --max-age 3d",
            "f.parquet: the newest forecast of AAA is of 2016-02-05, ",
        ),
        ("signals generate --forecasts f.parquet --ledger l.db --run .", ". is not a finished run"),
        ("signals migrate --ledger none.db", "there is no ledger at none.db"),
        ("signals migrate --ledger full.db --to 9", "there is no revision '9'"),
        ("signals export --ledger full.db --out x.xls", "cannot export to 'x.xls'"),
        ("backtest --ledger full.db --source test", "has signals for 2, 5 bars: choose one with --horizon"),
        (
            "backtest --ledger full.db --source test --horizon 3",
            "no signals for --horizon 3; horizons: [2, 5]",
        ),
        ("backtest --ledger full.db --source test --horizon 5 --model x", "for --horizon 5 --model x"),
        ("backtest --ledger full.db --source test --horizon 5 cost.fee_bps=-1", "cost.fee_bps"),
        ("signals resolve --ledger full.db --source test:x", "takes no location"),
        ("signals resolve --ledger full.db --source test fees=1", "no such key 'fees'"),
    ],
)
def test_a_mistake_is_one_line_and_exits_with_2(cli, full, line, message):
    status, out, err = cli(line.replace("full.db", str(full)))
    assert status == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_another_rule_cannot_rewrite_what_was_said(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    status, _, err = cli("signals generate --forecasts f.parquet --ledger l.db long_threshold=0.9")
    assert status == 2
    assert "a ledger only grows, so try other options in another one" in err


def test_two_models_are_not_mixed_up(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    second = make_forecast(["AAA", "BBB"], as_of=DAYS, horizons=(2, 5), drift=-0.002, num_samples=200)
    second.to_frame().assign(model_id="bear").to_parquet("g.parquet")
    ok(cli("signals generate --forecasts g.parquet --ledger l.db"))
    status, _, err = cli("backtest --ledger l.db --source test --horizon 5")
    assert status == 2
    assert "choose one strategy and model among threshold/bear, threshold/random-walk" in err
    bear = json.loads(
        ok(cli("backtest --ledger l.db --source test --horizon 5 --model bear --json --out b.json"))
    )
    assert np.sum(json.loads(Path("b.json").read_text())["series"]["positions"]) < 0
    assert bear["symbols"] == ["AAA", "BBB"]


def test_old_forecasts_are_refused_and_nothing_is_written(cli):
    status, _, err = cli("signals generate --forecasts f.parquet --ledger l.db --max-age 1w")
    assert status == 2
    assert "days ago; 7 are allowed (and 1 symbols more)" in err
    assert not Path("l.db").exists()
    make_forecast(["AAA"], as_of=["2199-01-01"], horizons=(2,)).to_frame().to_parquet("early.parquet")
    _, _, err = cli("signals generate --forecasts early.parquet --ledger l.db --max-age 1w")
    assert "AAA is of 2199-01-01, which has not come yet" in err
    ok(cli("signals generate --forecasts f.parquet --ledger l.db --max-age 5000w"))


def test_an_empty_ledger_says_so(cli):
    Ledger.open("l.db").close()
    for line in ("list", "resolve --source test", "export --out x.csv"):
        status, _, err = cli(f"signals {line} --ledger l.db")
        assert (status, err) == (0, "l.db has no signals yet\n")
    assert ok(cli("signals list --ledger l.db --json")) == "[]\n"
    assert cli("backtest --ledger l.db --source test")[2].count("has no signals yet") == 1


def test_signals_say_what_code_made_them(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    listed = json.loads(ok(cli("signals list --ledger l.db --json --limit 1")))
    assert listed[0]["code_revision"] == running_code()
    assert running_code().startswith("0.")


def test_every_backtest_is_written_down_as_a_trial_and_a_repeat_is_none(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    line = "backtest --ledger l.db --source test --horizon 5 --json num_random=20 num_resamples=50"
    told = json.loads(ok(cli(line)))
    assert told["deflated_sharpe"]["num_trials"] == 1
    assert told["deflated_sharpe"]["probability"] == told["net"]["probabilistic_sharpe"]
    assert json.loads(ok(cli(line))) == told
    # Another seed of the bootstrap trades the same.
    assert json.loads(ok(cli(f"{line} seed=3")))["deflated_sharpe"]["num_trials"] == 1
    with Ledger.open("l.db") as ledger:
        [record] = ledger.backtests()
    assert record.config == told["config"]
    assert {**record.metrics, "config": record.config} == told
    assert record.data_fingerprint == CANDLES.fingerprint()
    assert [str(moment)[:10] for moment in (record.first_as_of, record.last_as_of)] == [DAYS[0], DAYS[-1]]

    dear = json.loads(ok(cli(f"{line} cost.fee_bps=20")))
    short = json.loads(ok(cli("backtest --ledger l.db --source test --horizon 2 --json num_random=0")))
    assert (dear["deflated_sharpe"]["num_trials"], short["deflated_sharpe"]["num_trials"]) == (2, 3)
    assert short["deflated_sharpe"]["threshold"] > 0
    assert short["deflated_sharpe"]["probability"] < short["net"]["probabilistic_sharpe"]
    # The first one again: it is one of three now.
    assert json.loads(ok(cli(line)))["deflated_sharpe"]["num_trials"] == 3
    with Ledger.open("l.db") as ledger:
        assert len(ledger.backtests()) == 3
    # What was tried in another ledger counts when it is named.
    ok(cli("signals generate --forecasts f.parquet --ledger m.db long_threshold=0.67"))
    other = line.replace("l.db", "m.db")
    assert json.loads(ok(cli(other)))["deflated_sharpe"]["num_trials"] == 1
    assert json.loads(ok(cli(f"{other} --trials l.db")))["deflated_sharpe"]["num_trials"] == 4
    assert "there is no ledger at n.db" in cli(f"{other} --trials n.db")[2]


def test_the_markets_benchmark_is_held_beside_it_or_said_to_be_missing(cli):
    ok(cli("signals generate --forecasts f.parquet --ledger l.db"))
    line = "backtest --ledger l.db --source test --horizon 5 num_random=20 num_resamples=50"
    status, out, err = cli(line)
    assert (status, err) == (0, "SPY: no benchmark of the market: test does not have it\n")
    assert "always long" in out
    assert "random, 20 draws" in out
    assert "deflated by 1 trials" in out
    status, out, err = cli(f"{line} --benchmark BBB")
    assert (status, err) == (0, "")
    assert "BBB held" in out
    told = json.loads(ok(cli(f"{line} --benchmark BBB --json")))
    series = CANDLES["BBB"]
    days = [str(moment)[:10] for moment in series.time]
    first, last = days.index(told["start"][:10]) + 1, days.index(told["end"][:10])
    held = series.close[last] / series.open[first] / 1.0007
    assert told["benchmarks"]["BBB"]["hold"]["total_return"] == pytest.approx(held - 1)
    assert set(told["benchmarks"]["BBB"]["strategy_against_it"]["intervals"]) == {"alpha", "beta"}
    status, out, err = cli(f"{line} --benchmark ZZZ")
    assert (status, out) == (2, "")
    assert "no candles of the benchmark ZZZ: test does not have it" in err
    assert "is not a symbol (from --benchmark)" in cli(f"{line} --benchmark ../x")[2]


def test_the_run_behind_forecasts_is_checked_and_written_down(cli, tmp_path, clock):
    write_json(tmp_path / "run" / "model.json", {"name": "tiny"})
    run = Run.seal(tmp_path / "run", data_fingerprint="f" * 64, clock=clock)
    made = make_forecast(["AAA"], as_of=DAYS[:2], horizons=(2,)).to_frame()
    made.assign(model_id=f"gpt-{run.id}").to_parquet("mine.parquet")
    ok(cli("signals generate --forecasts mine.parquet --ledger l.db --run run"))
    with Ledger.open("l.db") as ledger:
        assert [record.run_id for record in ledger.runs()] == [run.id]
    status, _, err = cli("signals generate --forecasts f.parquet --ledger new.db --run run")
    assert status == 2
    assert f"the forecasts are of model random-walk, and not of run {run.id}" in err
    assert not Path("new.db").exists()
