import json
import subprocess
import sys

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from marketgpt_core import ConfigError, DataError, Forecast, registries
from marketgpt_core.cli import root
from marketgpt_models.cli import forecast, models

DATES = ["--from", "2015-06-01", "--to", "2015-06-10", "--every", "3"]


@pytest.fixture
def source(monkeypatch, candles):
    """Stand for the data-source registry: the package that provides sources may not be installed."""

    class Source:
        location_field = "place"

        def __init__(self, options):
            self.options = options

        def symbols(self, interval):
            return candles.symbols

        def fetch(self, symbols, *, start, end, interval):
            return candles.select(symbols).between(start, end)

    class Registry:
        def load(self, name):
            return Source

        def create(self, name, options, *, where):
            return Source(options)

    monkeypatch.setattr("marketgpt_core.sources.registry", lambda kind: Registry())


def run(*arguments, command=forecast):
    return CliRunner().invoke(command, [str(one) for one in arguments], catch_exceptions=False)


def test_models_lists_sizes():
    listed = json.loads(run("--json", command=models).stdout)
    ours = next(row for row in listed if row["name"] == "market_gpt")
    assert ours["parameters"] == 523_750
    assert ours["context"] == 128
    names = [row["name"] for row in listed]
    assert {"gru", "lstm", "market_gpt", "market_gpt_multi", "multitask"} <= set(names)
    for row in listed:
        assert list(row["presets"]) == ["tiny", "small", "medium", "crypto", "reduced", "full-market"]
    lines = run(command=models).stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : len(names) + 1]] == names
    told = next(line for line in lines if line.startswith("market_gpt ")).split()
    sizes = [ours["parameters"], *ours["presets"].values()]
    assert told[1:8] == [f"{size:,}" for size in sizes]
    assert [line.split()[0] for line in lines[-6:]] == list(ours["presets"])


def test_models_loads_no_torch():
    code = (
        "import sys; from click.testing import CliRunner; from marketgpt_models.cli import models;"
        "results = [CliRunner().invoke(models, a) for a in (['--json'], [])];"
        "assert all(one.exit_code == 0 for one in results), results;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_forecast_of_the_last_candle(source, run_folder, tmp_path):
    out = tmp_path / "made" / "forecast.parquet"
    result = run(run_folder, "AAA", "--source", "fake", "--horizons", "1,3", "--samples", 40, "--out", out)
    assert result.exit_code == 0
    assert result.stdout.count("AAA") == 2
    made = Forecast.from_frame(pd.read_parquet(out))
    assert made.symbols == ("AAA",)
    assert made.horizons.tolist() == [1, 3]


def test_forecast_of_a_range(source, run_folder, tmp_path):
    out = tmp_path / "forecast.csv"
    result = run(
        run_folder, "--source", "fake:DIR", *DATES, "--horizons", "1", "--samples", 40, "--out", out, "--json"
    )
    rows = json.loads(result.stdout)["forecasts"]
    dates = ["2015-06-01", "2015-06-04", "2015-06-09"]
    assert [row["as_of"] for row in rows] == np.repeat(dates, 3).tolist()
    frame = pd.read_csv(out)
    assert list(frame.columns[:6]) == ["symbol", "as_of", "horizon", "p_up", "epistemic", "q001"]
    assert frame["p_up"].tolist() == pytest.approx([row["p_up"] for row in rows])
    assert frame["q050"].tolist() == pytest.approx([row["q050"] for row in rows])


def test_range_and_library_agree(source, run_folder, candles):
    from marketgpt_models import load_forecaster

    arguments = (run_folder, "BBB", "--source", "fake", "--as-of", "2015-06-03", "--horizons", "1", "--json")
    row = json.loads(run(*arguments).stdout)["forecasts"][0]
    made = load_forecaster(run_folder).forecast(candles.select(["BBB"]), horizons=(1,), as_of=["2015-06-03"])
    assert row["p_up"] == pytest.approx(made.p_up[0, 0])
    assert row["q950"] == pytest.approx(made.quantile(0.95)[0, 0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--as-of", "2015-06-01", "--from", "2015-01-01"], ConfigError, "either --as-of or --from"),
        (["--out", "made.txt"], ConfigError, r"\.parquet or \.csv"),
        (["--horizons", "1,x"], ConfigError, "comma separated"),
        (["--from", "2030-01-01"], DataError, "no candle from 2030-01-01"),
        (["--from", "soon"], ConfigError, "'soon' is not a date"),
        (["--as-of", "2015-01-05"], DataError, "needs 9 candles"),
        (["--interval", "2d"], ConfigError, "unknown interval '2d'"),
    ],
)
def test_mistakes_are_named_in_one_line(source, run_folder, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        run(run_folder, "--source", "fake", *arguments)
    assert "\n" not in str(caught.value)


def test_the_command_line_finds_both_commands():
    assert {"models", "forecast"} <= set(root.list_commands(click.Context(root)))


@pytest.mark.skipif("data-source" not in registries(), reason="marketgpt-data-sources is not installed")
def test_forecast_from_a_real_source(run_folder):
    result = run(run_folder, "--source", "synthetic:garch_t", "--horizons", "1,3", "--samples", 20, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["forecasts"]
