import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.testing import make_candles
from marketgpt_models import load_forecaster
from marketgpt_models.caveats import caveats_of, row_caveats
from marketgpt_models.testing import example_spec


def spec(**changes):
    return example_spec().model_copy(update={"assets": ("AAA", "BBB"), "categories": ("us",), **changes})


def test_the_familiar_needs_no_word():
    assert caveats_of(spec(interval="1d"), make_candles(("AAA", "BBB")), None) == []


def test_strangers_are_named_and_only_those_asked_for():
    candles = make_candles(("AAA", "BBB", "CCC", "DDD"))
    assert caveats_of(spec(), candles, ["AAA"]) == []
    assert caveats_of(spec(), candles, ["CCC"]) == ["not in training, forecast as <unk>: CCC"]
    many = make_candles(tuple(f"N{i}" for i in range(9)))
    assert "N4, ... (9 in all)" in caveats_of(spec(), many, None)[0]


def test_another_market_another_interval_and_no_market():
    candles = make_candles(("AAA",))
    assert "markets" in caveats_of(spec(categories=("crypto",)), candles, None)[0]
    assert "trained on 1h candles" in caveats_of(spec(interval="1h"), candles, None)[0]
    assert "takes 5 symbols, there are 1" in caveats_of(spec(covariates=("market",)), candles, None)[0]


def test_a_stranger_is_forecast_all_the_same(run_folder):
    candles = make_candles(("ZZZ",), num_candles=160)
    forecaster = load_forecaster(run_folder, num_passes=1)
    assert forecaster.forecast(Candles(candles.values()), horizons=(1,), num_samples=20).symbols == ("ZZZ",)


def test_each_pair_tells_what_was_never_seen_of_it():
    candles = make_candles(("AAA", "CCC"))
    assert row_caveats(spec(interval="1d"), candles, ["AAA", "AAA"]) == ()
    told = row_caveats(spec(interval="1d"), candles, ["AAA", "CCC"])
    assert told == ("", "CCC was not in training, it is forecast as <unk>")
    (other,) = row_caveats(spec(categories=("crypto",), interval="1h"), candles, ["AAA"])
    assert other == (
        "no symbol of the market us was in training; the model was trained on 1h candles, not 1d"
    )


def test_a_path_far_beyond_the_context_is_refused(run_folder, candles):
    forecaster = load_forecaster(run_folder, num_passes=1)
    with pytest.raises(ConfigError, match=r"a path of 65 bars is too long for .*ask for at most 64"):
        forecaster.forecast(candles, horizons=(1, 65), num_samples=20)
