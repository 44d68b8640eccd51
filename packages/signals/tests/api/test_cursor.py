from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketgpt_signals.api.cursor import read_cursor, write_cursor

moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(as_of=moments, seq=st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back_and_fits_a_url(as_of, seq):
    text = write_cursor((as_of, seq))
    assert read_cursor(text) == (as_of, seq)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert len(text) <= 128


@given(text=st.text(max_size=60))
def test_anything_else_is_a_value_error(text):
    with pytest.raises(ValueError, match="not a cursor"):
        read_cursor(text)


@pytest.mark.parametrize(
    "plain",
    [
        "2016-01-04T00:00:00+00:00|-1",
        "2016-01-04T00:00:00+00:00|9223372036854775808",
        "2016-01-04T00:00:00|5",
        "2016-01-04T00:00:00+01:00|5",
        "2016-01-04T00:00:00+00:00|5|6",
        "2016-01-04T00:00:00+00:00|" + "9" * 5_000,
        "2016-01-04",
    ],
)
def test_a_forged_cursor_is_refused(plain):
    forged = base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")
    with pytest.raises(ValueError, match="not a cursor"):
        read_cursor(forged)
