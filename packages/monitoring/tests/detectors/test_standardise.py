from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_monitoring.detectors.standardise import Standardiser, check_values, split_levels


def test_the_warm_up_is_held_back_and_its_scale_frozen():
    standardiser = Standardiser(4)
    assert [list(standardiser.feed(value)) for value in (1.0, 2.0, 3.0)] == [[], [], []]
    warm = list(standardiser.feed(6.0))
    assert np.mean(warm) == pytest.approx(0.0)
    assert np.std(warm, ddof=1) == pytest.approx(1.0)
    scale = standardiser.scale
    assert list(standardiser.feed(103.0)) == [pytest.approx(100.0 / scale)]
    assert standardiser.scale == scale == pytest.approx(np.std([1, 2, 3, 6], ddof=1))
    assert standardiser.undo(100.0 / scale) == pytest.approx(103.0)


def test_bad_values_are_named_by_their_place_in_the_stream():
    with pytest.raises(DataError, match="value 12 of the stream is nan"):
        check_values(np.array([0.0, 1.0, np.nan]), num_seen=10)
    with pytest.raises(DataError, match=r"shape \(n,\), got \(1, 2\)"):
        check_values(np.ones((1, 2)), num_seen=0)


def test_split_levels_finds_the_step():
    assert split_levels(np.array([1.0, 1.0, 1.0, 5.0, 5.0])) == (1.0, 5.0)
    assert split_levels(np.array([2.0, 4.0])) == (2.0, 4.0)
