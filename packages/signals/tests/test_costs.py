from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketgpt_core.config import load_config
from marketgpt_core.errors import ConfigError
from marketgpt_signals.costs import CostModel


def test_costs_are_never_zero_by_default():
    cost = CostModel()
    assert cost.rate == pytest.approx(7e-4)
    assert cost.round_trip_bps == pytest.approx(14)
    assert cost.borrow_rate == pytest.approx(0.005)


@given(fee=st.floats(0, 500), slippage=st.floats(0, 500), more=st.floats(0, 100))
def test_costs_add_up_and_grow(fee, slippage, more):
    cost = CostModel(fee_bps=fee, slippage_bps=slippage)
    assert cost.rate == pytest.approx((fee + slippage) / 10_000)
    assert cost.round_trip_bps == pytest.approx(2e4 * cost.rate)
    dearer = CostModel(fee_bps=min(fee + more, 500), slippage_bps=slippage)
    assert dearer.rate >= cost.rate


@pytest.mark.parametrize("values", [{"fee_bps": -1}, {"slippage_bps": float("nan")}, {"fees": 5}])
def test_costs_that_make_no_sense_are_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        load_config(CostModel, values, where="test")
