from __future__ import annotations

import json
from pathlib import Path

import pytest

LINE = (
    "signals tune --forecasts f.parquet --source test --ledger l.db --until 2016-10-03 --horizon 1 --folds 4"
)


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("tune") / "f.parquet"
    small[0].to_frame().to_parquet(path)
    return path


@pytest.fixture
def cli(small, written, tmp_path, monkeypatch, command_line):
    monkeypatch.chdir(tmp_path)
    Path("f.parquet").write_bytes(written.read_bytes())
    return command_line(small[1])


def test_the_whole_way_and_on_with_it(cli):
    status, out, err = cli(f"{LINE} --trials 3 --study s.db long_threshold=0.51:0.7 cost.fee_bps=1")
    assert status == 0, err
    assert "long_threshold=0." in out
    assert "tuned" in out
    assert "buy and hold" in out
    assert "Held out: Sharpe ratio" in out
    assert "Charged with " in out
    status, out, err = cli(f"{LINE} --trials 4 --study s.db --json long_threshold=0.51:0.7 cost.fee_bps=1")
    told = json.loads(out)
    assert (told["num_before"], told["num_trials"]) == (3, 4)
    assert told["config"]["cost"]["fee_bps"] == 1
    assert told["options"]["horizons"] == [1]
    assert told["space"] == {"long_threshold": "0.51 to 0.7"}
    assert len(told["folds"]) == 4
    assert told["held_out"]["chosen"]["net"]["intervals"]["sharpe"]
    assert told["held_out"]["earlier_looks"] == 0
    # What was chosen is what `signals generate` takes.
    chosen = " ".join(f"{name}={value}" for name, value in told["best"].items())
    status, _, err = cli(f"signals generate --forecasts f.parquet --ledger g.db {chosen} horizons=[1]")
    assert status == 0, err


def test_some_symbols_and_the_declared_space(cli):
    status, out, err = cli(
        f"{LINE} --trials 2 --symbols AAA --strategy bollinger --json mode=reversion width"
    )
    assert status == 0, err
    told = json.loads(out)
    assert told["held_out"]["chosen"]["symbols"] == ["AAA"]
    assert told["space"] == {"width": "0.5 to 3.5"}
    assert told["options"]["mode"] == "reversion"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--until soon", "'soon' is not a date"),
        ("--until 2030-01-01", "nothing is left to judge on: the forecasts end at 2017-04-"),
        ("--until 2015-01-01", "no forecasts up to 2015-01-01: the first is of 2016-01-04"),
        ("--objective shape", "no such objective 'shape'; did you mean 'sharpe'?"),
        ("--strategy treshold", "did you mean 'threshold'?"),
        ("--horizon 3", "no forecast for 3 bars"),
        ("--symbols AAA,ZZZ", "no forecasts of ZZZ (from --symbols)"),
        ("--symbols ../x", "is not a symbol (from --symbols)"),
        ("--folds 60", "take fewer folds"),
        ("--study .", "cannot use the study"),
        ("--study f.parquet", "cannot use the study f.parquet: file is not a database"),
        ("--ledger f.parquet", "file is not a database"),
        ("--forecasts none.parquet", "cannot read none.parquet"),
        ("cost.fee_bps=900", "less than or equal to 500"),
        ("cost.fees=1", "no such key 'cost.fees'"),
        ("long_treshold=0.6:0.7", "did you mean 'long_threshold'?"),
        ("long_threshold=0.4:0.7", "greater than 0.5, got 0.4 (from strategy threshold)"),
        ("--trials 0", "0 is not in the range x>=1"),
        ("--folds 1", "1 is not in the range x>=2"),
    ],
)
def test_bad_input_is_one_line(cli, more, message):
    status, out, err = cli(f"{LINE} --trials 2 {more}")
    assert status == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_several_horizons_are_asked_for(cli):
    status, _, err = cli(LINE.replace("--horizon 1 ", ""))
    assert status == 2
    assert "there are forecasts for 1, 5 bars: choose one with --horizon" in err


def test_a_refused_call_leaves_nothing_behind(cli):
    for wrong in ("--until 2030-01-01", "--objective shape", "--folds 60"):
        assert cli(f"{LINE} --study s.db {wrong}")[0] == 2
    assert [path.name for path in Path().iterdir()] == ["f.parquet"]
