from __future__ import annotations

import json
from pathlib import Path

import pytest

from marketgpt_core.cli.root import main
from marketgpt_core.testing import make_candles, make_forecast

CANDLES = make_candles(["AAA", "BBB"], num_candles=160, start="2016-01-04")


class Source:
    location_field = None

    def symbols(self, interval):
        return CANDLES.symbols

    def fetch(self, symbols, *, start, end, interval):
        return CANDLES.select(symbols)


class Sources:
    def load(self, name):
        return Source

    def create(self, name, options, *, where):
        return Source()


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run a command line in a folder with forecasts; returns (exit status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("marketgpt_core.sources.registry", lambda kind: {"data-source": Sources()}[kind])
    days = [str(moment)[:10] for moment in CANDLES["AAA"].time[50:]]
    made = make_forecast(["AAA", "BBB"], as_of=days, horizons=(5, 21), num_samples=100)
    made.to_frame().to_parquet("f.parquet")

    def run(line: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(line.split())
        done = capsys.readouterr()
        return stop.value.code, done.out, done.err

    return run


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
