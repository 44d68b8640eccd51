"""Forecasts: shapes, summaries of samples against known laws, tables and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketgpt_core import QUANTILE_LEVELS, DataError, Forecast, Interval
from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import quantile_name
from marketgpt_core.testing import make_forecast

COLUMNS = [
    "symbol", "as_of", "horizon", "p_up", "epistemic",
    "q001", "q005", "q010", "q025", "q050", "q100", "q150", "q200", "q250", "q300", "q350", "q400",
    "q450", "q500", "q550", "q600", "q650", "q700", "q750", "q800", "q850", "q900", "q950", "q975",
    "q990", "q995", "q999", "aleatoric", "close", "interval", "model_id", "data_fingerprint",
]  # fmt: skip


def summary(samples: np.ndarray, num_passes: int = 1) -> Forecast:
    n, _, h = samples.shape
    return Forecast.from_samples(
        samples,
        symbols=[f"S{i}" for i in range(n)],
        as_of=np.full(n, np.datetime64("2024-01-02", "ns")),
        close=np.ones(n),
        horizons=range(1, h + 1),
        num_passes=num_passes,
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "as_of",
            np.array(["2024-01-01"], dtype="datetime64[ns]"),
            r"forecast.as_of has shape \(1,\), not \(4,\)",
        ),
        ("close", np.ones(3), r"forecast.close has shape \(3,\), not \(4,\)"),
        ("p_up", np.ones((4, 2)), r"forecast.p_up has shape \(4, 2\), not \(4, 3\)"),
        ("aleatoric", np.ones(4), r"forecast.aleatoric has shape \(4,\), not \(4, 3\)"),
        ("epistemic", np.ones((3, 4)), r"forecast.epistemic has shape \(3, 4\), not \(4, 3\)"),
        ("quantiles", np.ones((4, 3, 2)), r"forecast.quantiles has shape \(4, 3, 2\), not \(4, 3, 27\)"),
        ("quantiles", np.full((4, 3, 27), np.nan), "finite and not decrease"),
        ("quantiles", -np.arange(27.0) * np.ones((4, 3, 1)), "finite and not decrease"),
        ("p_up", np.full((4, 3), 1.01), r"p_up must lie in \[0, 1\]"),
        ("p_up", np.full((4, 3), np.nan), r"p_up must lie in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        replace(make_forecast(), **{name: value})


def test_quantiles_and_p_up_are_those_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    made = summary(rng.normal([0.0, 0.01], 0.02, (1, 200_000, 2)))
    expected = {0.001: -3.0902, 0.05: -1.6449, 0.5: 0.0, 0.95: 1.6449, 0.999: 3.0902}
    for level, z in expected.items():
        assert made.quantile(level)[0] == pytest.approx([0.02 * z, 0.01 + 0.02 * z], abs=8e-4)
    assert made.p_up[0] == pytest.approx([0.5, 0.69146], abs=0.005)
    assert made.aleatoric[0] == pytest.approx([0.02, 0.02], rel=0.01)
    assert (made.epistemic == 0).all()


def test_a_tie_is_neither_up_nor_down() -> None:
    samples = np.array([0.0, 0.0, 0.01, -0.01])[None, :, None]
    assert summary(samples).p_up.tolist() == [[0.5]]
    assert summary(np.zeros((1, 5, 1))).p_up.tolist() == [[0.5]]


def test_the_spread_is_split_as_in_a_known_mixture() -> None:
    """The law of total variance: opinions differ with sd 0.01, each leaves sd 0.02."""
    rng = np.random.default_rng(1)
    opinions = rng.normal(0.0, 0.01, (200, 20, 1))
    samples = opinions + rng.normal(0.0, 0.02, (200, 20, 50))
    made = summary(samples.reshape(200, 1_000, 1), num_passes=20)
    assert np.sqrt(np.mean(made.epistemic**2)) == pytest.approx(0.01, rel=0.05)
    assert np.sqrt(np.mean(made.aleatoric**2)) == pytest.approx(0.02, rel=0.02)


def test_agreeing_opinions_have_no_epistemic_spread() -> None:
    """Sampling noise between block means is not an opinion: it is taken off."""
    samples = np.random.default_rng(2).normal(0.0, 0.02, (400, 400, 1))
    made = summary(samples, num_passes=8)
    assert np.mean(made.epistemic**2) < 0.05 * np.mean(made.aleatoric**2) / 50 * 8
    assert np.median(made.epistemic) < 0.002


def test_samples_must_split_into_equal_passes() -> None:
    with pytest.raises(DataError, match="10 samples cannot be split into 3 equal passes"):
        summary(np.zeros((1, 10, 1)), num_passes=3)


def test_paths_are_read_at_their_horizons() -> None:
    steps = np.random.default_rng(3).normal(0, 0.01, (2, 500, 10))
    paths = np.cumsum(steps, axis=-1)
    kept = Forecast.from_paths(
        paths,
        symbols=["A", "B"],
        as_of=np.full(2, np.datetime64("2024-01-02", "ns")),
        close=np.ones(2),
        horizons=(1, 10),
        keep_paths=True,
    )
    assert kept.paths is paths
    assert kept.quantile(0.5)[1, 0] == pytest.approx(np.median(paths[1, :, 0]))
    assert kept.quantile(0.5)[1, 1] == pytest.approx(np.median(paths[1, :, 9]))
    assert replace(kept, paths=None).rows(slice(1, 2)).paths is None
    assert kept.rows(np.array([1])).paths == pytest.approx(paths[1:])


def test_quantiles_are_linear_between_levels() -> None:
    made = make_forecast()
    low, high = made.quantile(0.5), made.quantile(0.55)
    assert made.quantile(0.51) == pytest.approx(0.8 * low + 0.2 * high)
    for position, level in enumerate(QUANTILE_LEVELS):
        assert made.quantile(level) == pytest.approx(made.quantiles[..., position], rel=1e-12)
    for level in (0.0005, 0.9995, -1.0, float("nan")):
        with pytest.raises(DataError, match=r"outside 0\.001\.\.0\.999"):
            made.quantile(level)


def test_rows_and_horizons_are_found() -> None:
    made = make_forecast(("AAA", "BBB"), as_of=("2016-01-04", "2016-01-05"))
    assert made.symbols == ("AAA", "BBB", "AAA", "BBB")
    assert made.of("BBB").as_of.astype("datetime64[D]").astype(str).tolist() == ["2016-01-04", "2016-01-05"]
    assert np.array_equal(made.of("BBB").quantiles, made.quantiles[[1, 3]])
    assert len(made.of("CCC")) == 0
    assert made.horizon_index(5) == 1
    with pytest.raises(DataError, match=r"no forecast for 7 bars; there are \[1, 5, 10\]"):
        made.horizon_index(7)


def test_quantile_columns_are_thousandths() -> None:
    assert [quantile_name(level) for level in (0.001, 0.025, 0.05, 0.3, 0.999)] == [
        "q001", "q025", "q050", "q300", "q999",
    ]  # fmt: skip


def test_the_table_has_exactly_the_promised_columns() -> None:
    frame = make_forecast().to_frame()
    assert list(frame) == COLUMNS
    assert len(frame) == 4 * 3
    assert str(frame["as_of"].dt.tz) == "UTC"
    assert frame["horizon"].tolist()[:4] == [1, 5, 10, 1]


def test_the_table_gives_the_forecast_back() -> None:
    made = replace(make_forecast(), interval=Interval.HOUR)
    shuffled = made.to_frame().sample(frac=1.0, random_state=1)
    back = Forecast.from_frame(shuffled)
    assert back.symbols == made.symbols
    for name in ("as_of", "close", "horizons", "levels", "quantiles", "p_up", "aleatoric", "epistemic"):
        assert np.array_equal(getattr(back, name), getattr(made, name)), name
    assert (back.interval, back.model_id, back.data_fingerprint) == (
        made.interval, made.model_id, made.data_fingerprint,
    )  # fmt: skip
    naive = shuffled.assign(as_of=shuffled["as_of"].dt.tz_localize(None))
    assert np.array_equal(Forecast.from_frame(naive).as_of, made.as_of)
    text = shuffled.assign(as_of=shuffled["as_of"].astype(str))
    assert np.array_equal(Forecast.from_frame(text).as_of, made.as_of)


def _half_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """AAA has only horizon 1, BBB only 5: as many rows as one whole pair."""
    one = (frame["symbol"] == "AAA") & (frame["horizon"] == 1)
    return frame[one | ((frame["symbol"] == "BBB") & (frame["horizon"] == 5))]


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda f: f.drop(columns=["p_up", "close"]), DataError, "it lacks close, p_up"),
        (lambda f: f[[name for name in f if name[0] != "q"]], DataError, "it lacks quantiles"),
        (lambda f: f.iloc[:0], DataError, "the forecast table is empty"),
        (lambda f: f.iloc[1:], DataError, "lacks a horizon or has one twice"),
        (lambda f: pd.concat([f, f]), DataError, "lacks a horizon or has one twice"),
        (_half_pairs, DataError, "lacks a horizon or has one twice"),
        (lambda f: f.assign(q500=-9.0), DataError, "not decrease"),
        (lambda f: f.assign(interval="1y"), ConfigError, "unknown interval '1y'"),
    ],
)
def test_a_table_that_is_no_forecast_is_refused(damage: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Forecast.from_frame(damage(make_forecast().to_frame()))


def test_other_columns_do_no_harm() -> None:
    frame = make_forecast().to_frame().assign(quality=1.0, q=2.0, **{"": 3.0})
    assert len(Forecast.from_frame(frame).levels) == len(QUANTILE_LEVELS)
