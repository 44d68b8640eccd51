from __future__ import annotations

import pytest

from marketgpt_core.errors import ConfigError
from marketgpt_signals.api import Limits


@pytest.mark.parametrize("text", ["", "fast", "0/minute", "-1/second", "10", "10/fortnight", "1e3/second"])
def test_a_rate_that_is_none_is_told(text):
    with pytest.raises(ConfigError, match="write a number and a unit, as 6000/minute"):
        Limits(requests=text)


@pytest.mark.parametrize("name", ["streams", "body_bytes", "body_s", "url_bytes"])
def test_limits_are_positive(name):
    with pytest.raises(ConfigError, match=f"limit {name} must be positive, got 0"):
        Limits(**{name: 0})


def test_rates_are_read_as_they_are_written():
    assert (Limits("50/second").rate().amount, Limits("50/second").rate().get_expiry()) == (50, 1)
    assert (Limits("9 per 2 minute").rate().amount, Limits("9 per 2 minute").rate().get_expiry()) == (9, 120)
