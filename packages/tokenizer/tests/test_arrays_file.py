"""A large vocabulary's arrays lie in a safetensors file beside the JSON: exact, and trusted in nothing."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from marketgpt_core import DataError
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import load_tokenizer
from marketgpt_tokenizer import OHLCTokenizer

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def large() -> OHLCTokenizer:
    candles = make_candles(("A", "B", "C", "D"), num_candles=2_000)
    config = OHLCTokenizer.Config(gap_bins=400, body_bins=600, volume_bins=300)
    return OHLCTokenizer(config).fit(candles)


@pytest.fixture
def saved(large: OHLCTokenizer, tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    large.save(path)
    return path


def replace_arrays(path: Path, data: bytes, *, honest: bool = True) -> None:
    """Put other bytes in the safetensors file; an enemy writes the hash that goes with them."""
    path.with_suffix(".safetensors").write_bytes(data)
    if honest:
        content = json.loads(path.read_text())
        content["arrays"]["sha256"] = hashlib.sha256(data).hexdigest()
        path.write_text(json.dumps(content))


def test_both_files_come_back_to_the_last_bit(large: OHLCTokenizer, saved: Path) -> None:
    assert sum(large.vocab_sizes) > 1_024
    assert sorted(one.name for one in saved.parent.iterdir()) == ["tokenizer.json", "tokenizer.safetensors"]
    assert "channels" not in json.loads(saved.read_text())
    loaded = load_tokenizer(saved)
    assert isinstance(loaded, OHLCTokenizer)
    assert loaded.fingerprint() == large.fingerprint()
    assert loaded.prior_volume_variance == large.prior_volume_variance > 0
    for ours, theirs in zip(large.bins, loaded.bins, strict=True):
        for part in ("edges", "knots", "mass"):
            assert getattr(ours, part).tobytes() == getattr(theirs, part).tobytes()
    again = saved.parent / "again" / "tokenizer.json"
    loaded.save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_a_small_vocabulary_is_one_file(tmp_path: Path) -> None:
    OHLCTokenizer().fit(make_candles()).save(tmp_path / "tokenizer.json")
    assert [one.name for one in tmp_path.iterdir()] == ["tokenizer.json"]


def _changed(change: Callable[[Arrays], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        arrays = load_file(path.with_suffix(".safetensors"))
        change(arrays)
        replace_arrays(path, save(arrays))

    return damage


def _put(name: str, index: object, value: float) -> Callable[[Path], None]:
    return _changed(lambda arrays: arrays[name].__setitem__(index, value))


def _bytes(change: Callable[[bytes], bytes], *, honest: bool = True) -> Callable[[Path], None]:
    return lambda path: replace_arrays(
        path, change(path.with_suffix(".safetensors").read_bytes()), honest=honest
    )


def _header_bomb(data: bytes) -> bytes:
    header = b'{"gap.edges":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'
    return struct.pack("<Q", len(header)) + header + data[:64]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_bytes(lambda data: data[:-8]), "is no safetensors file"),
        (_bytes(lambda data: data[: len(data) // 2]), "is no safetensors file"),
        (_bytes(lambda data: b""), "is no safetensors file"),
        (_bytes(lambda data: b"\xff" * 64), "is no safetensors file"),
        (_bytes(_header_bomb), "is no safetensors file"),
        (_bytes(lambda data: data[:-8], honest=False), "the sha256 differs"),
        (_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1]), honest=False), "the sha256 differs"),
        (_put("gap.edges", 0, np.nan), "gap.edges is not finite"),
        (_put("body.knots", (0, 0), -np.inf), "body.knots is not finite"),
        (_put("body.edges", 5, 99.0), "body: the edges do not increase"),
        (_put("up.knots", (3, 16), 19.0), "up: knots lie outside their bin"),
        (_put("volume.mass", 0, -0.1), "volume: the masses sum to"),
        (_put("low.mass", 0, 3.0), "low: the masses sum to"),
        (_changed(lambda arrays: arrays.pop("low.mass")), "does not hold the arrays .*low.mass"),
        (_changed(lambda arrays: arrays.update(extra=np.zeros(3))), "does not hold the arrays .*extra"),
        (
            _changed(lambda arrays: arrays.update({"gap.edges": arrays["gap.edges"].astype(np.float32)})),
            "gap.edges has shape .* float32",
        ),
        (
            _changed(lambda arrays: arrays.update({"gap.knots": arrays["gap.knots"][:, :16].copy()})),
            r"gap.knots has shape \(\d+, 16\)",
        ),
        (
            _changed(lambda arrays: arrays.update({"gap.mass": arrays["gap.mass"][:-1].copy()})),
            "masses do not fit",
        ),
        (
            _changed(lambda arrays: arrays.update({"gap.edges": np.arange(9_000.0)})),
            "gap.edges is not finite or longer",
        ),
    ],
)
def test_damaged_arrays_are_refused_in_one_line(
    saved: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(saved)
    with pytest.raises(DataError, match=words) as caught:
        OHLCTokenizer.load(saved)
    message = str(caught.value)
    assert "\n" not in message
    assert "tokenizer." in message
    assert len(message) < 600


def test_one_without_the_other_is_refused(saved: Path) -> None:
    arrays = saved.with_suffix(".safetensors")
    arrays.unlink()
    with pytest.raises(DataError, match=r"cannot read .*tokenizer\.safetensors"):
        OHLCTokenizer.load(saved)
    os.mkfifo(arrays)
    with pytest.raises(DataError, match="not a regular file"):
        OHLCTokenizer.load(saved)
    arrays.unlink()
    with arrays.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(DataError, match="more than 67108864 bytes"):
        OHLCTokenizer.load(saved)


@pytest.mark.parametrize(
    "name", ["../tokenizer.safetensors", "/etc/passwd", "sub/tokenizer.safetensors", ".safetensors", "x.json"]
)
def test_the_arrays_lie_beside_it_and_nowhere_else(saved: Path, name: str) -> None:
    content = json.loads(saved.read_text())
    content["arrays"]["file"] = name
    saved.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"arrays\.file: String should match pattern"):
        OHLCTokenizer.load(saved)


def test_channels_and_arrays_at_once_are_refused(saved: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.json"
    OHLCTokenizer().fit(make_candles()).save(small)
    content = json.loads(small.read_text())
    content["arrays"] = json.loads(saved.read_text())["arrays"]
    for both in (content, {key: part for key, part in content.items() if key not in {"arrays", "channels"}}):
        saved.write_text(json.dumps(both))
        with pytest.raises(DataError, match="either channels or the name of their arrays"):
            OHLCTokenizer.load(saved)


def test_a_name_that_could_not_be_read_is_not_written(large: OHLCTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "a name with blanks.json"
    with pytest.raises(DataError, match="is no name for a tokenizer"):
        large.save(path)
    assert list(tmp_path.iterdir()) == []
