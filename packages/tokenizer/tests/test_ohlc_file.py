"""The tokenizer's file: exact, and trusted in nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marketgpt_core import DataError, PluginError
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import load_tokenizer
from marketgpt_tokenizer import OHLCTokenizer


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "good.json"
    OHLCTokenizer(OHLCTokenizer.Config(gap_bins=8, body_bins=8)).fit(make_candles()).save(path)
    return json.loads(path.read_text())


def test_floats_come_back_to_the_last_bit(tmp_path: Path) -> None:
    fitted = OHLCTokenizer().fit(make_candles())
    path = tmp_path / "tokenizer.json"
    fitted.save(path)
    loaded = load_tokenizer(path)
    assert isinstance(loaded, OHLCTokenizer)
    assert loaded.config == fitted.config
    assert loaded.prior_variance == fitted.prior_variance
    for ours, theirs in zip(fitted.bins, loaded.bins, strict=True):
        assert ours.edges.tobytes() == theirs.edges.tobytes()
        assert ours.knots.tobytes() == theirs.knots.tobytes()
    again = tmp_path / "again.json"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        node: Any = content
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value

    return change


def _edge_bomb(content: dict[str, Any]) -> None:
    content["channels"]["gap"]["edges"] = [float(k) for k in range(20_000)]


def _foreign_volume(content: dict[str, Any]) -> None:
    content["channels"]["volume"] = content["channels"]["gap"]


def _negative_wick(content: dict[str, Any]) -> None:
    low = content["channels"]["low"]
    low["edges"].insert(0, -1.0)
    low["knots"].insert(0, [-2.0] * 17)
    low["mass"].insert(0, 0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("kind", value="multitask"), "kind: .*'multitask'"),
        (_set("format", value=2), "format: Input should be 1, got 2"),
        (_set("format", value="1"), "format"),
        (_set("surprise", value=1), "no such key 'surprise'"),
        (_set("config", "clip", value=-1.0), "clip: .*got -1.0"),
        (_set("config", "clips", value=1.0), "did you mean 'clip'"),
        (_set("config", value=[]), "config"),
        (_set("prior_variance", value=float("nan")), "prior_variance"),
        (_set("prior_variance", value=-1.0), "prior_variance"),
        (_set("channels", "gap", "edges", 0, value=float("inf")), "finite"),
        (_set("channels", "gap", "edges", 0, value="1; DROP TABLE"), "channels.gap.edges.0"),
        (_set("channels", "gap", "edges", 0, value=True), "channels.gap.edges.0"),
        (_set("channels", "gap", "edges", value=[]), "0 edges, .* do not fit"),
        (_set("channels", "body", "edges", 3, value=-99.0), "edges do not increase"),
        (_set("channels", "body", "knots", 2, 0, value=9.0), "knots of a bin decrease"),
        (_set("channels", "body", "knots", 2, value=[5.0] * 17), "outside their bin"),
        (_set("channels", "gap", "knots", 0, value=[-1000.0] * 17), "outside their bin"),
        (_set("channels", "body", "knots", 2, value=[0.0] * 16), "channels.body.knots.2"),
        (_set("channels", "up", "knots", 0, value=[1e-10] * 17), "not an atom"),
        (_set("channels", "up", "mass", 0, value=1.5), "channels.up.mass.0"),
        (_set("channels", "up", "mass", 0, value=0.9), "channel up: the masses sum to"),
        (_set("config", "volume_bins", value=8), "make the channels .*, volume, it holds gap, body, up, low"),
        (_set("prior_volume_variance", value=-1.0), "prior_volume_variance"),
        (_foreign_volume, "it holds gap, body, up, low, volume"),
        (_negative_wick, "wick is negative"),
        (_edge_bomb, "channels.gap.edges"),
        (lambda content: content["channels"].pop("low"), "channels.low"),
        (lambda content: content.pop("config"), "config"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(
    content: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    change(content)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words) as caught:
        OHLCTokenizer.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "bad.json" in message
    assert len(message) < 600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '"ohlc"',
        "{",
        "[" * 100_000,
        '{"kind": ' + "1" * 5_000 + "}",
        "\x00",
        '{"kind": "ohlc"}',
    ],
)
def test_what_is_no_tokenizer_at_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    for load in (OHLCTokenizer.load, load_tokenizer):
        with pytest.raises(DataError, match=r"bad\.json"):
            load(path)


def test_missing_and_huge_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*nowhere"):
        OHLCTokenizer.load(tmp_path / "nowhere.json")
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(DataError, match="more than 67108864 bytes"):
        OHLCTokenizer.load(huge)


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"kind": "ohcl"}')
    with pytest.raises(PluginError, match="unknown tokenizer 'ohcl'; did you mean 'ohlc'"):
        load_tokenizer(path)
