"""What a tokenizer hands to a model, and loading one by its file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from marketgpt_core import DataError, PluginError
from marketgpt_core.tokens import MOST_TOKENIZER_BYTES, VolatilityState, load_tokenizer


def state_of(*fast: float, volume: bool = False) -> VolatilityState:
    """Paths whose other parts follow from the fast average, so that a mix-up shows."""
    values = np.array(fast)
    return VolatilityState(
        fast=values,
        slow=values + 2.0,
        count=(values + 4.0).astype(np.int64),
        volume=np.stack([values * 10, values * 100], axis=1) if volume else None,
    )


def same(one: VolatilityState, other: VolatilityState) -> bool:
    names = ("fast", "slow", "count", "volume")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_repeat_keeps_the_paths_of_one_start_together() -> None:
    many = state_of(1.0, 2.0).repeat(3)
    assert many.fast.tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert many.slow.tolist() == [3.0, 3.0, 3.0, 4.0, 4.0, 4.0]
    assert many.count.tolist() == [5, 5, 5, 6, 6, 6]
    assert many.volume is None
    with_volume = state_of(1.0, 2.0, volume=True).repeat(2).volume
    assert with_volume is not None
    assert with_volume.tolist() == [[10.0, 100.0], [10.0, 100.0], [20.0, 200.0], [20.0, 200.0]]


@pytest.mark.parametrize("volume", [False, True])
@pytest.mark.parametrize(
    ("index", "fast"),
    [
        (np.array([2, 0, 0]), [3.0, 1.0, 1.0]),
        (np.array([False, True, True]), [2.0, 3.0]),
        (slice(1, None), [2.0, 3.0]),
        (np.array([], dtype=np.int64), []),
    ],
)
def test_rows_take_every_part_along(index: slice | np.ndarray, fast: list[float], volume: bool) -> None:
    assert same(state_of(1.0, 2.0, 3.0, volume=volume).rows(index), state_of(*fast, volume=volume))


@pytest.mark.parametrize("volume", [False, True])
def test_concatenated_puts_paths_one_after_the_other(volume: bool) -> None:
    parts = [state_of(1.0, volume=volume), state_of(2.0, 3.0, volume=volume)]
    whole = VolatilityState.concatenated(parts)
    assert same(whole, state_of(1.0, 2.0, 3.0, volume=volume))
    assert len(whole) == 3


def test_states_of_different_tokenizers_are_not_mixed() -> None:
    with pytest.raises(DataError, match="1 of 2 volatility states keep the volume"):
        VolatilityState.concatenated([state_of(1.0), state_of(2.0, volume=True)])
    with pytest.raises(DataError, match="no volatility states"):
        VolatilityState.concatenated([])


@pytest.mark.parametrize("text", ["[]", "{}", '{"kind": 5}', "null"])
def test_a_file_that_names_no_kind_is_no_tokenizer(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer: it names no 'kind'"):
        load_tokenizer(path)


def test_an_unknown_kind_is_the_plugins_matter(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text('{"kind": "from_nowhere"}')
    with pytest.raises(PluginError, match=r"from_nowhere|kind 'tokenizer' is installed"):
        load_tokenizer(path)


def test_what_no_tokenizer_is_is_not_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(MOST_TOKENIZER_BYTES + 1)
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    for path, words in (
        (huge, r"huge\.json is no tokenizer: it has more than 67108864 bytes"),
        (pipe, r"pipe\.json is no tokenizer: it is not a regular file"),
        (tmp_path, "is not a regular file"),
        (tmp_path / "nowhere.json", r"cannot read .*nowhere\.json"),
    ):
        with pytest.raises(DataError, match=words):
            load_tokenizer(path)
