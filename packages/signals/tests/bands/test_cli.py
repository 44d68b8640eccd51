from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketgpt_core.testing import make_candles, make_forecast

CANDLES = make_candles(["AAA", "BBB"], num_candles=160, start="2016-01-04")


@pytest.fixture
def cli(tmp_path, monkeypatch, command_line):
    """Run a command line in a folder with forecasts; returns (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    days = [str(moment)[:10] for moment in CANDLES["AAA"].time[50:]]
    made = make_forecast(["AAA", "BBB"], as_of=days, horizons=(5, 21), num_samples=100)
    made.to_frame().to_parquet("f.parquet")
    return command_line(CANDLES)


def test_bands_are_printed_and_drawn(cli):
    status, out, err = cli(
        "signals bands --source test --symbols AAA,BBB --forecasts f.parquet --html b.html"
    )
    assert status == 0, err
    assert out.count("classical 2m") == 2
    assert out.count("forecast 1m") == 2
    assert "forecast 2w" not in out  # was not forecast
    assert "classical bands promise nothing" in out
    page = Path("b.html").read_text()
    assert "BBB: Bollinger Bands" in page
    assert "<script src=" not in page


def test_bands_as_json_up_to_a_date(cli):
    status, out, _ = cli("signals bands --source test --symbols AAA --until 2016-06-01 --json")
    assert status == 0
    sets = json.loads(out)
    assert [one["name"] for one in sets] == ["1w", "2w", "1m", "2m"]
    assert {one["newest"]["known_at_the_close_of"] for one in sets} == {"2016-06-01"}
    assert sets[0]["next_close"]["num"] > sets[0]["at_horizon"]["num"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("signals bands --source test --symbols ../x", "is not a symbol (from --symbols)"),
        ("signals bands --source test --symbols AAAA", "unknown symbol 'AAAA'"),
        ("signals bands --source test --symbols AAA --forecasts none.parquet", "cannot read none.parquet"),
        ("signals bands --source test --symbols AAA --probability 1.5", "0.01<=x<=0.99"),
    ],
)
def test_a_mistake_is_one_line_and_exits_with_2(cli, line, message):
    status, out, err = cli(line)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
