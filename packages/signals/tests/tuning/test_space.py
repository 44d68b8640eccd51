from __future__ import annotations

import pytest

from marketgpt_core.errors import ConfigError
from marketgpt_signals.registry import strategies
from marketgpt_signals.rules.bollinger import Bollinger
from marketgpt_signals.rules.kelly import Kelly
from marketgpt_signals.rules.rank import Rank
from marketgpt_signals.rules.threshold import ProbabilityThreshold
from marketgpt_signals.tuning.space import Choice, Range, declared_space, parse_options


def parse(cls, *texts):
    return parse_options(cls.Config, texts, where="here")


def test_bollinger_declares_its_mode_window_and_width():
    assert declared_space(Bollinger.Config) == {
        "mode": Choice(("breakout", "reversion")),
        "window": Range(5, 120),
        "width": Range(0.5, 3.5),
    }
    assert declared_space(Bollinger.Config)["window"].whole


def test_bounds_of_the_field_are_the_space_where_nothing_else_is_said():
    found = declared_space(Kelly.Config)
    assert found["shrink"] == Range(0, 1)
    assert found["fraction"] == Range(1e-3, 1)  # above 0
    assert found["method"] == Choice(("law", "gaussian"))
    assert "min_size" not in found  # declared as no matter of taste
    assert "borrow_bps_per_year" not in found  # one bound
    assert "allow_caveats" not in found
    assert set(declared_space(Rank.Config)) == {"share", "neutral"}


@pytest.mark.parametrize("name", strategies().names())
def test_every_strategy_of_ours_declares_something_it_allows(name):
    space, _ = parse_options(strategies().load(name).Config, [], where="here")
    assert space


def test_arguments():
    space, fixed = parse(
        Bollinger, "window=10:60", "width=0.5:4:log", "mode=breakout,reversion", "horizons=[5,10]"
    )
    assert space == {
        "window": Range(10, 60),
        "width": Range(0.5, 4.0, log=True),
        "mode": Choice(("breakout", "reversion")),
    }
    assert fixed == {"horizons": [5, 10]}
    assert parse(Bollinger, "window") == ({"window": Range(5, 120)}, {})
    assert parse(Bollinger, "window=20,50,100")[0] == {"window": Choice((20, 50, 100))}
    space, fixed = parse(Bollinger, "mode=reversion")
    assert (set(space), fixed) == ({"window", "width"}, {"mode": "reversion"})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["windw=5:10"], "no such option 'windw' (from here); did you mean 'window'?"),
        (["window=10:5"], "window=10:5: LOW must be below HIGH"),
        (["window=5:5"], "LOW must be below HIGH"),
        (["width=0:1:log"], "above 0 with log"),
        (["width=0.5:1:lin"], "write LOW:HIGH or LOW:HIGH:log"),
        (["width=0.5:1:log:3"], "write LOW:HIGH"),
        (["width=a:b"], "write LOW:HIGH"),
        (["width=1:"], "write LOW:HIGH"),
        (["window=1:50"], "window: Input should be greater than or equal to 2, got 1 (from here)"),
        (["window=5:50000"], "less than or equal to 10000, got 50000"),
        (["window=5.5:50"], "valid integer"),
        (["width=nan:2"], "LOW must be below HIGH"),
        (["mode=breakout,sideways"], "'breakout' or 'reversion', got 'sideways'"),
        (["mode=breakout,breakout"], "write different words or numbers"),
        (["round_trip_cost_bps"], "round_trip_cost_bps declares no bounds"),
        (["mode=reversion", "window=20", "width=2.0"], "nothing to search (from here)"),
    ],
)
def test_bad_arguments_are_one_line(texts, message):
    with pytest.raises(ConfigError) as caught:
        parse(Bollinger, *texts)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_end_that_is_not_allowed_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match=r"greater than 0\.5"):
        parse(ProbabilityThreshold, "long_threshold=0.5:0.7")
