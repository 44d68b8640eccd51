"""``marketgpt tokenizer``, run as a user runs it: through the root command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from marketgpt_core.cli import main
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import load_tokenizer


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "candles.csv"
    make_candles(num_candles=400).to_frame().to_csv(path, index=False)
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["tokenizer", *map(str, arguments)])
    return int(stop.value.code or 0)


def test_fit_then_inspect(csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tokenizer.json"
    assert run("fit", "--input", csv, "--out", out, "body_bins=16", "tail_masses=[]") == 0
    assert f"wrote {out}: ohlc" in capsys.readouterr().out
    loaded = load_tokenizer(out)
    assert loaded.vocab_sizes[1] == 17

    assert run("inspect", out, "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["kind"] == "ohlc"
    assert described["fingerprint"] == loaded.fingerprint()
    assert [channel["name"] for channel in described["channels"]] == ["gap", "body", "up", "low"]
    body = described["channels"][1]
    assert body["vocabulary"] == len(body["bins"]) == 17
    assert sum(one["mass"] for one in body["bins"]) == pytest.approx(1.0)
    assert body["bins"][0]["from"] is None
    assert body["bins"][0]["to"] == body["bins"][1]["from"]
    assert body["bins"][0]["median"] < body["bins"][0]["to"]

    assert run("inspect", out) == 0
    short = capsys.readouterr().out
    assert "body: 17 tokens" in short
    assert run("inspect", out, "--bins") == 0
    assert len(capsys.readouterr().out.splitlines()) > len(short.splitlines()) + sum(loaded.vocab_sizes)


def test_before_keeps_later_candles_out(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part.csv"
    frame = pd.read_csv(csv)
    frame[frame["time"] < "2016-01-01"].to_csv(part, index=False)
    for source, out, extra in ((csv, "a", ["--before", "2016-01-01"]), (part, "b", []), (csv, "c", [])):
        assert run("fit", "--input", source, "--out", tmp_path / f"{out}.json", *extra) == 0
    a, b, c = ((tmp_path / f"{name}.json").read_text() for name in "abc")
    assert a == b
    assert a != c


def test_parquet_gives_the_same_tokenizer(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is an extra of this package")
    parquet = tmp_path / "candles.parquet"
    make_candles(num_candles=400).to_frame().to_parquet(parquet)
    assert run("fit", "--input", parquet, "--out", tmp_path / "p.json", "--json") == 0
    ours = json.loads(capsys.readouterr().out)
    assert ours["path"] == str(tmp_path / "p.json")
    assert run("fit", "--input", csv, "--out", tmp_path / "c.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == ours["fingerprint"]


def test_without_pyarrow_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_engine(path: Path) -> pd.DataFrame:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", no_engine)
    assert run("fit", "--input", "x.parquet", "--out", tmp_path / "p.json") == 2
    assert "pip install 'marketgpt-tokenizer[parquet]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("no.csv", None, "cannot read"),
        ("no.txt", "x", "read from .csv or .parquet"),
        ("empty.csv", "", "cannot be read as candles"),
        ("binary.csv", "\udcff\udcfe", "cannot be read as candles"),
        ("columns.csv", "symbol,time,close\nA,2020-01-01,1\n", "lacks open, high, low"),
        ("bare.csv", "time,open,high,low,close\n2020-01-01,1,1,1,1\n", "column 'symbol'"),
        ("one.csv", "symbol,time,open,high,low,close\nA,2020-01-01,1,1,1,1\n", "two candles"),
        ("bad.csv", "symbol,time,open,high,low,close\nA,2020-01-01,1,0.5,1,1\n", "impossible candle"),
    ],
)
def test_a_file_that_is_no_good_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, words: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    out = tmp_path / "out.json"
    assert run("fit", "--input", path, "--out", out) == 2
    error = capsys.readouterr().err
    assert words in error
    assert name in error or words == "two candles"
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["body_bin=3"], "did you mean 'body_bins'"),
        (["body_bins=1"], "body_bins: Input should be greater than or equal to 2, got 1"),
        (["body_bins"], "write key.sub=value"),
        (["--kind", "olhc"], "did you mean 'ohlc'"),
        (["--interval", "1y"], "unknown interval '1y'"),
        (["--before", "soon"], "'soon' is not a date"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run("fit", "--input", csv, "--out", tmp_path / "out.json", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_volume_channel_and_a_large_vocabulary(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tokenizer.json"
    assert run("fit", "--input", csv, "--out", out, "volume_bins=16") == 0
    assert "volume 19" in capsys.readouterr().out
    assert run("inspect", out) == 0
    assert "\nvolume: 19 tokens" in capsys.readouterr().out
    big = tmp_path / "big.csv"
    make_candles([f"S{k}" for k in range(20)], num_candles=400).to_frame().to_csv(big, index=False)
    assert run("fit", "--input", big, "--out", out, "body_bins=900", "gap_bins=900") == 0
    assert (tmp_path / "tokenizer.safetensors").is_file()
    capsys.readouterr()
    assert run("inspect", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["channels"][1]["vocabulary"] > 500


def test_multitask_shows_its_targets(csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tokenizer.json"
    options = ["--kind", "multitask", "horizons=[1,5]", "range_bins=4"]
    assert run("fit", "--input", csv, "--out", out, *options) == 0
    assert f"wrote {out}: multitask" in capsys.readouterr().out
    assert run("inspect", out) == 0
    short = capsys.readouterr().out
    assert "target direction: 3 classes after 1, 5 bars" in short
    assert "target range: 4 classes after 1, 5 bars" in short
    assert run("inspect", out, "--bins") == 0
    lines = capsys.readouterr().out.splitlines()
    after = lines[lines.index("target range: 4 classes after 1, 5 bars") + 1 :]
    assert [len(line.split()) for line in after] == [4, 4]  # the horizon and three edges
    assert run("inspect", out, "--json") == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    assert [(one["name"], one["classes"]) for one in targets] == [
        ("direction", 3), ("volatility", 8), ("range", 4),
    ]  # fmt: skip
    assert [one["bars"] for one in targets[0]["horizons"]] == [1, 5]


def test_refit_to_later_candles(csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, laws = (tmp_path / f"{name}.json" for name in ("old", "new", "laws"))
    tables = tmp_path / "remap.safetensors"
    assert run("fit", "--input", csv, "--out", old, "--before", "2016-01-01", "body_bins=16") == 0
    later = ["--input", csv, "--from", "2016-01-01"]
    assert run("refit", old, *later, "--out", new, "--remap", tables) == 0
    assert f"wrote {new}: ohlc" in capsys.readouterr().out
    before, after = load_tokenizer(old), load_tokenizer(new)
    assert before.fingerprint() != after.fingerprint()
    found = load_file(tables)
    assert len(found) == 12
    for channel, name in enumerate(before.channel_names):
        shape = (after.vocab_sizes[channel], before.vocab_sizes[channel])
        assert found[f"{name}.mixing"].shape == shape
        assert found[f"{name}.push"].shape == shape[::-1]
        assert found[f"{name}.mixing"].sum(axis=1) == pytest.approx(np.ones(shape[0]))
        assert found[f"{name}.shift"].shape == shape[:1]

    assert run("refit", old, *later, "--out", laws, "--laws-only") == 0
    series = make_candles(num_candles=400)["AAA"]
    kept = load_tokenizer(laws)
    assert np.array_equal(kept.encode(series).tokens, before.encode(series).tokens)
    assert kept.fingerprint() not in {before.fingerprint(), after.fingerprint()}


def test_refit_refuses_what_it_cannot(csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, out = tmp_path / "old.json", tmp_path / "new.json"
    assert run("fit", "--input", csv, "--out", old) == 0
    for arguments, words in (
        ([old, "--input", csv, "--out", out, "--from", "2030-01-01"], "two candles"),
        ([csv, "--input", csv, "--out", out], "candles.csv is not JSON"),
        ([old, "--input", csv, "--out", out, "--remap", out], "give it another name"),
        (
            [old, "--input", csv, "--out", out, "--remap", out.with_suffix(".safetensors")],
            "give it another name",
        ),
    ):
        capsys.readouterr()
        assert run("refit", *arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
        assert not out.exists()
