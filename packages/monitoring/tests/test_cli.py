from __future__ import annotations

import json

import pytest

from marketgpt_core.cli import main
from marketgpt_monitoring import readers


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["monitor", *arguments])
        return stopped.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def ledger(monkeypatch, ledger_of):
    """Make ``--ledger memory://`` open what the test put there."""

    def put(pairs):
        reader = ledger_of(pairs)
        monkeypatch.setattr(readers, "open_ledger", lambda location: reader)

    return put


def test_a_healthy_ledger_exits_0(run, ledger, make_history):
    ledger(make_history())
    code, out, _ = run("check", "--ledger", "memory://")
    assert code == 0
    assert "2000 outcomes, Brier 0.2" in out
    assert out.splitlines()[-1] == "ok: 1 streams (1 ok)"


def test_an_alarm_exits_1_and_reaches_the_channel(run, ledger, make_history, tmp_path):
    ledger(make_history(bad_from=300))
    path = tmp_path / "alerts.jsonl"
    code, out, _ = run("check", "--ledger", "memory://", "--channel", "log", "--json", f"log.path={path}")
    assert code == 1
    value = json.loads(out)
    assert value["status"] == "alarm"
    assert [(one["channel"], one["error"]) for one in value["deliveries"]] == [("log", "")]
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["key"] == value["deliveries"][0]["key"]


def test_a_channel_that_fails_is_told_and_changes_no_exit_code(run, ledger, make_history, tmp_path):
    ledger(make_history(inside_share=0.8))
    code, _, err = run("check", "--ledger", "memory://", "--channel", "log", f"log.path={tmp_path}")
    assert code == 0  # a warning, not an alarm
    assert "alert not delivered by channel log: DeliveryError: channel log: cannot append" in err


def test_options_of_the_check_and_the_detector(run, ledger, make_history):
    ledger(make_history(bad_from=300))
    code, out, _ = run("check", "--ledger", "memory://", "adwin.delta=1e-300", "check.stale_after_days=3")
    assert code == 0
    assert "no alarm; mean" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ledger", "nowhere.db"], "no ledger at 'nowhere.db'"),
        (["--ledger", "nowhere.db", "--detector", "adwim"], "did you mean 'adwin'"),
        (["--ledger", "nowhere.db", "--channel", "logg"], "did you mean 'log'"),
        (["--ledger", "nowhere.db", "adwin.delta=2"], "delta: Input should be less than 1, got 2"),
        (["--ledger", "nowhere.db", "adwim.delta=0.1"], "no such option 'adwim'"),
        (["--ledger", "nowhere.db", "delta=0.1"], "no such option 'delta'"),
        (["--ledger", "nowhere.db", "delta"], "is not an override"),
        ([], "--ledger"),
    ],
)
def test_mistakes_exit_2_with_one_line(run, arguments, message):
    code, out, err = run("check", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_calibrate_measures_what_the_settings_mean(run):
    quick = ("--streams", "20", "--points", "1000", "--json")
    code, out, _ = run("calibrate", "--detector", "adwin", *quick, "adwin.delta=0.5")
    eager = json.loads(out)
    assert code == 0
    assert eager["num_points"] == 20_000
    assert eager["false_alarms_per_10_000"] > 5
    assert [delay["shift"] for delay in eager["delays"]] == [0.5, 1.0, 2.0]
    _, out, _ = run("calibrate", "--detector", "adwin", *quick)
    assert json.loads(out)["false_alarms_per_10_000"] < 3


def test_calibrate_in_words(run):
    code, out, _ = run("calibrate", "--streams", "5", "--points", "200")
    assert code == 0
    assert "false alarms per 10,000 points (1000 fed)" in out
    assert "shift of 1 sd: median delay" in out
