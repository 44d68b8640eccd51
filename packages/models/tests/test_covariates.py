from dataclasses import replace

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.testing import make_candles
from marketgpt_models.covariates import Covariates, covariate_groups, recurrence
from marketgpt_models.features import features_of_all
from marketgpt_models.prefix import stamps_ahead

EVERY = Covariates(covariate_groups())
NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")


@pytest.fixture(scope="module")
def many():
    """Six symbols; one of them is Tokyo's, which closes first."""
    chosen = dict(make_candles(NAMES, num_candles=420, start="2019-01-01"))
    chosen["EEE"] = replace(chosen["EEE"], symbol="7203.T", category=type(chosen["EEE"].category)("em"))
    return Candles(chosen.values())


@pytest.fixture(scope="module")
def encoded(many, tokenizer):
    return {one.symbol: tokenizer.encode(one) for one in many.values()}


@pytest.fixture(scope="module")
def columns(many, encoded):
    return EVERY.of(many, encoded)


def test_every_symbol_has_a_row_a_candle_and_all_columns(columns, encoded):
    for symbol, values in columns.items():
        assert values.shape == (len(encoded[symbol]), len(EVERY.names))
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert np.abs(values).max() < 20
    assert len(set(EVERY.names)) == len(EVERY.names) == len(EVERY.unknown_ahead)


def _crashed(candles, row):
    """Return the candles with everything from ``row`` on at a tenth, and wild volumes."""
    fall = np.where(np.arange(len(next(iter(candles.values())))) < row, 1.0, 0.1)
    return Candles(
        replace(
            one,
            volume=np.where(fall < 1, 1e9, one.volume),
            **{name: getattr(one, name) * fall for name in ("open", "high", "low", "close")},
        )
        for one in candles.values()
    )


@pytest.mark.parametrize("row", [60, 300])
def test_no_group_sees_a_later_candle(many, tokenizer, columns, row):
    changed = _crashed(many, row)
    after = EVERY.of(changed, {one.symbol: tokenizer.encode(one) for one in changed.values()})
    for symbol, before in columns.items():
        # Rows start with the second candle, so row t is candle t + 1.
        assert np.array_equal(before[: row - 1], after[symbol][: row - 1]), symbol
        assert not np.array_equal(before[row - 1 :], after[symbol][row - 1 :]), symbol


def test_tokyo_does_not_know_new_yorks_day(many, tokenizer, encoded):
    """A crash in New York on day t is in New York's market state of t, and in Tokyo's of t + 1 only."""
    market = Covariates(("market",))
    before = market.of(many, encoded)
    crashed = Candles(one if one.symbol == "7203.T" else _crash_at(one, 200) for one in many.values())
    after = market.of(crashed, {one.symbol: tokenizer.encode(one) for one in crashed.values()})
    changed = {
        name: np.flatnonzero((before[name] != after[name]).any(axis=1))[0] for name in ("AAA", "7203.T")
    }
    assert changed["AAA"] == 199
    assert changed["7203.T"] == 200


def _crash_at(one, row):
    close, low = one.close.copy(), one.low.copy()
    close[row], low[row] = 0.7 * close[row], 0.7 * low[row]
    return replace(one, close=close, low=low)


def test_a_few_symbols_are_no_market(many, encoded):
    few = Candles([many["AAA"], many["BBB"]])
    values = Covariates(("market",)).of(few, {name: encoded[name] for name in ("AAA", "BBB")})
    assert not values["AAA"].any()


def test_the_market_is_known_where_there_are_enough(columns):
    known = EVERY.names.index("market.all_known")
    assert (columns["AAA"][:, known] == 1).mean() > 0.95


def test_earlier_quarters_show_where_a_move_recurs(tokenizer):
    """A large move every 91 days is foretold from its third time on, on its day and not a week before."""
    one = make_candles(("AAA",), num_candles=900, start="2015-01-01")["AAA"]
    days = one.time.astype("datetime64[D]").astype(np.int64)
    # Days that are weekdays at each recurrence: 91 days are 13 weeks.
    events = np.flatnonzero((days - days[5]) % 91 == 0)
    jump = np.zeros(len(one))
    jump[events] = 0.15
    factor = np.exp(np.cumsum(jump))
    before = np.exp(np.cumsum(jump) - jump)
    jumped = replace(
        one,
        open=one.open * before,
        close=one.close * factor,
        high=np.maximum(one.high * factor, one.open * before),
        low=np.minimum(one.low * before, one.close * factor),
    )
    candles = Candles([jumped])
    values = Covariates(("recurrence",)).of(candles, {"AAA": tokenizer.encode(jumped)})["AAA"]
    at_zero = recurrence.NAMES.index("at_+0")
    late = events[events > 500]
    # Row t speaks of candle t + 2 of the series: rows start with the second candle.
    on_the_day = values[late - 2, at_zero]
    assert on_the_day.min() > values[late - 9, at_zero].max() + 1.0
    week = recurrence.NAMES.index("at_+5")
    assert values[late - 7, week].min() > values[late - 12, week].max() + 1.0


def test_what_is_known_ahead_is_what_the_days_say_later(many, encoded):
    """The earlier quarters of a candle to come are told today as they will be told then."""
    symbol, rows = "AAA", np.array([300, 310])
    series = encoded[symbol]
    stamps = np.stack([series.time[rows + 2 + step] for step in range(20)], axis=1)
    ahead = Covariates(("recurrence",)).ahead(many, series, rows, stamps)
    later = Covariates(("recurrence",)).of(many, encoded)[symbol]
    by_rule = stamps_ahead(series.time[rows], series.category, np.timedelta64(86_400_000_000_000, "ns"), 20)
    for number, row in enumerate(rows):
        for step in range(20):
            if by_rule[number, step + 1] == stamps[number, step]:
                np.testing.assert_array_equal(ahead[number, step], later[row + 1 + step])


def test_nothing_else_is_known_ahead(many, encoded):
    stamps = np.zeros((2, 3), dtype="datetime64[ns]")
    for name in ("market", "volatility", "volume"):
        assert not Covariates((name,)).ahead(many, encoded["AAA"], np.array([50, 60]), stamps).any()
    assert Covariates(()).ahead(many, encoded["AAA"], np.array([50, 60]), stamps).shape == (2, 3, 0)


def test_volume_is_a_surprise_or_unknown(many, encoded, tokenizer):
    group = Covariates(("volume",))
    silent = Candles(replace(one, volume=np.zeros(len(one))) for one in many.values())
    assert not group.of(silent, encoded)["AAA"].any()
    loud = many["AAA"].volume.copy()
    loud[200] *= 10
    busy = Candles([replace(many["AAA"], volume=loud)])
    values = group.of(busy, {"AAA": encoded["AAA"]})["AAA"]
    assert values[199, 1] > 3
    assert (values[5:, 0] == 1).all()


def test_an_unknown_group_is_refused_with_the_close_match():
    with pytest.raises(ConfigError, match=r"unknown covariates 'markets'.*market"):
        Covariates(("markets",)).names  # noqa: B018 - the property raises


def test_features_carry_them_at_the_end(many, tokenizer, columns):
    made = features_of_all(tokenizer, many, (1, 3), EVERY)
    assert np.array_equal(made["AAA"].continuous[:, -len(EVERY.names) :], columns["AAA"])
