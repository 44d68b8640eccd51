"""What a tokenizer hands to a model, and loading one by its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marketgpt_core import DataError, PluginError
from marketgpt_core.tokens import VolatilityState, load_tokenizer


def test_repeat_keeps_the_paths_of_one_start_together() -> None:
    state = VolatilityState(
        fast=np.array([1.0, 2.0]), slow=np.array([3.0, 4.0]), count=np.array([5, 6], dtype=np.int64)
    )
    many = state.repeat(3)
    assert many.fast.tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
    assert many.slow.tolist() == [3.0, 3.0, 3.0, 4.0, 4.0, 4.0]
    assert many.count.tolist() == [5, 5, 5, 6, 6, 6]


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
