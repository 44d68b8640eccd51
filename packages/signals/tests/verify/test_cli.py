from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.rules.threshold import ProbabilityThreshold

CANDLES = make_candles(["AAA", "BBB"], num_candles=260, start="2016-01-04")
DAYS = [str(moment)[:10] for moment in CANDLES["AAA"].time[60:220]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("verify")
    made = make_forecast(["AAA", "BBB"], as_of=DAYS, horizons=(1, 2), drift=0.003, num_samples=80)
    made.to_frame().to_parquet(path / "f.parquet")
    later = make_forecast(["AAA"], as_of=["2017-01-02"], horizons=(1, 2), drift=0.003, num_samples=80)
    later.to_frame().to_parquet(path / "later.parquet")
    return path


@pytest.fixture
def cli(folder, monkeypatch, command_line):
    """Run a command line in a folder with forecasts; returns (exit status, output, errors)."""
    monkeypatch.chdir(folder)
    return command_line(CANDLES)


def test_the_clean_pass_with_0(cli):
    status, out, err = cli("verify lookahead --strategy threshold horizons=[1]")
    assert status == 0, err
    assert "7 of 7 checks passed" in out
    given = "--strategy bollinger --forecasts f.parquet --source test --last-dates 8 window=10"
    status, out, err = cli(f"verify lookahead {given} --json")
    assert status == 0, err
    assert {check["name"] for check in json.loads(out)["checks"]} >= {
        "prefix",
        "candles NaN",
        "forecasts x-3",
    }
    status, out, _ = cli(f"verify warmup {given}")
    assert status == 0
    assert "bars on; says it reads 10 candles" in out


class Peeking(ProbabilityThreshold):
    """Acts on the highest P(up) of all there is."""

    def signals(self, forecast, *, created_at):
        from dataclasses import replace

        order = np.argsort(np.argsort(forecast.p_up, axis=0), axis=0) / len(forecast)
        return super().signals(replace(forecast, p_up=order), created_at=created_at)


class Broken(ProbabilityThreshold):
    """Breaks."""

    def decide(self, row, column):
        raise RuntimeError("boom")


@pytest.mark.parametrize(("cls", "told"), [(Peeking, "prefix"), (Broken, "RuntimeError: boom")])
def test_what_fails_exits_with_1_and_hides_nobody(cli, monkeypatch, cls, told):
    from marketgpt_signals.registry import strategies

    real = strategies().create

    def create(name, options=None, *, where=""):
        return cls(cls.Config()) if name == "consensus" else real(name, options, where=where)

    monkeypatch.setattr(strategies(), "create", create)
    status, out, _ = cli(
        "verify lookahead --strategy consensus --strategy rank --forecasts f.parquet --last-dates 6"
    )
    assert status == 1
    assert told in out
    assert "FAILED" in out
    assert "rank" in out


def test_generate_calibrate_resolve_replay(cli):
    for line in (
        "signals generate --forecasts f.parquet --ledger l.db --strategy kelly",
        "signals resolve --ledger l.db --source test",
    ):
        assert cli(line)[0] == 0
    status, out, err = cli("signals calibrate --ledger l.db --out c.json min_dates=5 --json")
    assert status == 0, err
    report = json.loads(out)
    assert [group["horizon"] for group in report["groups"]] == [1, 2]
    assert report["groups"][0]["num_samples"] == 320
    assert report["walk_forward"][0]["num_samples"] > 50
    assert json.loads(Path("c.json").read_text())["fingerprint"] == report["fingerprint"]
    status, out, _ = cli("signals calibrate --ledger l.db --out c.json min_dates=5")
    assert status == 0
    assert "out of sample" in out

    status, _, err = cli("signals generate --forecasts f.parquet --ledger l.db --calibration c.json")
    assert status == 2
    assert "would be put right by its own future" in err
    line = "signals generate --forecasts later.parquet --ledger later.db --calibration c.json"
    assert cli(line)[0] == 0
    listed = json.loads(cli("signals list --ledger later.db --json")[1])
    assert all(f"+cal-{report['fingerprint'][:12]}" in one["model_id"] for one in listed)

    assert cli("verify replay --ledger l.db --forecasts f.parquet --strategy kelly")[0] == 0
    status, out, _ = cli("verify replay --ledger l.db --forecasts f.parquet --strategy kelly shrink=0.9")
    assert status == 1
    assert "becomes" in out
    line = "verify replay --ledger later.db --forecasts later.parquet"
    assert cli(f"{line} --calibration c.json")[0] == 0
    assert cli(line)[0] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("verify lookahead --strategy treshold", "did you mean 'threshold'?"),
        ("verify lookahead window=5", "name it with --strategy"),
        ("verify lookahead --forecasts none.parquet", "cannot read none.parquet"),
        ("verify warmup --run runs/x", "--run needs --source, --symbols and --as-of"),
        ("verify replay --ledger none.db --forecasts f.parquet", "there is no ledger at none.db"),
        (
            "signals generate --forecasts f.parquet --ledger n.db --strategy bollinger",
            "reads candles: say where",
        ),
        ("signals calibrate --ledger none.db --out c.json", "there is no ledger at none.db"),
        ("signals generate --forecasts f.parquet --ledger n.db --calibration f.parquet", "is not JSON"),
    ],
)
def test_a_mistake_is_one_line_and_exits_with_2(cli, line, message):
    status, out, err = cli(line)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("n.db").exists()
