"""Tuning from end to end: what lies after the period cannot matter, an edge is found, noise is noise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from marketgpt_core.candles import PRICES, Candles
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.times import to_datetime64
from marketgpt_signals.backtest import BacktestConfig, backtest_signals
from marketgpt_signals.costs import CostModel
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.registry import strategies
from marketgpt_signals.trials import deflated, recorded_trials
from marketgpt_signals.tuning.attempt import Goal, try_options
from marketgpt_signals.tuning.judge import held_out, judge
from marketgpt_signals.tuning.records import ALL_FOLDS, HELD_OUT
from marketgpt_signals.tuning.report import report_json, verdict
from marketgpt_signals.tuning.search import search
from marketgpt_signals.tuning.space import Choice, Range

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def tuned(question, ledger, **options):
    found = search(question, ledger, CLOCK, **options)
    return found, judge(question, found, ledger, CLOCK.now())


def poisoned(made, until, how):
    """The same until a date, nonsense afterwards."""
    forecast, candles = made
    rng = np.random.default_rng(5)
    later = forecast.as_of > until
    flipped = np.where(later[:, None], rng.uniform(0, 1, forecast.p_up.shape), forecast.p_up)
    close = np.where(later, forecast.close * 1e3, forecast.close)
    changed = []
    for series in candles.values():
        after = series.time > until
        factor = np.where(after, 3.0 if how == "tripled" else rng.uniform(0.01, 100, len(after)), 1.0)
        changed.append(replace(series, **{name: getattr(series, name) * factor for name in PRICES}))
    if how == "cut":
        return forecast.rows(~later), Candles(series.until(until) for series in candles.values())
    return replace(forecast, p_up=flipped, close=close), Candles(changed)


@pytest.mark.parametrize(
    ("strategy", "how"), [("threshold", "tripled"), ("bollinger", "random"), ("bollinger", "cut")]
)
def test_what_comes_after_the_period_decides_nothing(small, ask, tmp_path, how, strategy):
    spaces = {
        "threshold": {"long_threshold": Range(0.51, 0.7)},
        "bollinger": {"window": Range(5, 60), "mode": Choice(("breakout", "reversion"))},
    }
    asked = {"strategy": strategy, "space": spaces[strategy], "num_trials": 2, "horizon_bars": 5}
    other = poisoned(small, to_datetime64(ask(small).config.until), how)
    found = []
    for number, one_world in enumerate((small, other)):
        with Ledger.open(tmp_path / f"{number}.db") as ledger:
            one = search(ask(one_world, **asked), ledger, CLOCK)
            found.append((one.study, one.tried, one.defaults.score, one.chosen.digest))
            written = [(record.config, record.metrics) for record in ledger.backtests()]
            found[-1] += (written,)
    assert found[0] == found[1]
    assert any(trial.score != 0 for trial in found[0][1])


def test_a_fold_is_the_backtest_of_its_signals_alone(small, ask):
    question = ask(small, horizon_bars=5, cost=CostModel(fee_bps=20))
    period, goal = question.period(), question.config.goal
    options = question.options({"long_threshold": 0.6})
    made = try_options("threshold", options, period, goal, where="test")
    forecast, candles = small
    every = strategies().create("threshold", options).signals(forecast, created_at=CLOCK.now())
    for fold, result in zip(period.folds, made.folds, strict=True):
        inside = [
            signal
            for signal in every
            if fold.start <= to_datetime64(signal.as_of)
            and np.searchsorted(candles["AAA"].time, to_datetime64(signal.as_of)) + 6
            <= np.searchsorted(candles["AAA"].time, fold.end)
        ]
        config = BacktestConfig(horizon_bars=5, cost=goal.cost, num_resamples=0, num_random=0)
        alone = backtest_signals(inside, candles, config)
        assert alone.net.sharpe == pytest.approx(result.value)
        assert alone.digest == result.digest
        assert alone.time[-1] <= fold.end
    assert made.score == pytest.approx(np.mean([fold.value for fold in made.folds]))


def test_a_planted_edge_is_found_and_holds(planted, ask, ledger):
    question = ask(planted, num_trials=16)
    found, judged = tuned(question, ledger)
    # The edge begins at 0.62 and 0.38; nearer to a half the forecast is wrong.
    assert found.chosen.options["long_threshold"] > 0.6
    assert found.chosen.options["short_threshold"] < 0.4
    assert found.chosen.score > found.defaults.score + 1
    assert judged.searched.probability > 0.95
    assert judged.is_better
    ours, theirs = found.walk_forward()
    assert ours > theirs
    told = " ".join(verdict(question, found, judged))
    assert "against cash, it is significant at 95%" in told
    assert "The tuned options are better." in told


@pytest.mark.parametrize(("num_seeds", "num_trials"), [(3, 8), pytest.param(10, 40, marks=pytest.mark.slow)])
def test_on_noise_the_best_of_many_is_not_called_skill(world, ask, tmp_path, num_seeds, num_trials):
    significant, better = [], []
    for seed in range(num_seeds):
        question = ask(world(330, edge=0.0, seed=seed + 10), num_trials=num_trials)
        with Ledger.open(tmp_path / f"{seed}.db") as ledger:
            found, judged = tuned(question, ledger)
        told = " ".join(verdict(question, found, judged))
        assert "it is not significant at 95%" in told
        significant.append(judged.searched.probability >= 0.95)
        better.append(judged.is_better)
    assert sum(significant) == 0
    assert sum(better) <= max(1, num_seeds // 5)  # one in twenty by the interval


def test_every_trial_is_written_down_and_charged(small, ask, ledger):
    question = ask(small, num_trials=6)
    found, judged = tuned(question, ledger)
    records = ledger.backtests()
    assert {record.config["tuning"] for record in records} == {found.study}
    numbers = {record.config["trial"] for record in records if record.config["fold"] != HELD_OUT}
    assert numbers == {"defaults", *range(6)}
    for number in numbers:
        mine = {r.config["fold"]: r for r in records if r.config["trial"] == number}
        if number == "defaults":
            assert mine.pop(HELD_OUT).metrics["net"]["sharpe"] == judged.defaults.net.sharpe
        assert set(mine) == {1, 2, 3, 4, ALL_FOLDS}
        values = [mine[fold].metrics["value"] for fold in range(1, 5)]
        assert mine[ALL_FOLDS].metrics["score"] == pytest.approx(np.mean(values))
        assert mine[1].config["options"]["horizons"] == [1]
    # One trial each, whatever the folds; and two that were judged.
    assert len(recorded_trials(records)) == 7 + 2
    assert judged.searched.num_trials == 7
    assert judged.deflated.num_trials == 9
    # A backtest of the tuning period on the same ledger is charged with all of it, too.
    made = (
        strategies()
        .create("threshold", found.chosen.options)
        .signals(found.period.forecast, created_at=CLOCK.now())
    )
    plain = backtest_signals(made, found.period.candles, BacktestConfig(horizon_bars=1, num_resamples=0))
    assert deflated(plain, ledger.backtests()).deflated.num_trials == 8


def test_a_second_study_is_charged_with_the_first_and_knows_it_was_not_unseen(small, ask, ledger):
    _, first = tuned(ask(small, num_trials=3), ledger)
    question = ask(small, num_trials=3, seed=1)
    found, second = tuned(question, ledger)
    assert first.num_looks == 0
    assert second.num_looks == 1
    assert second.searched.num_trials == first.searched.num_trials + 3
    assert "no longer unseen" in verdict(question, found, second)[-1]


def test_the_same_again_writes_nothing_and_goes_on_with_the_study(small, ask, ledger, tmp_path):
    question = ask(small, num_trials=4)
    first, _ = tuned(question, ledger, storage=tmp_path / "s.db")
    num_records = len(ledger.backtests())
    again, judged = tuned(question, ledger, storage=tmp_path / "s.db")
    assert len(ledger.backtests()) == num_records
    assert (first.num_before, again.num_before) == (0, 4)
    assert again.tried == first.tried
    assert judged.num_looks == 0
    more, _ = tuned(ask(small, num_trials=6), ledger, storage=tmp_path / "s.db")
    assert more.study == first.study
    assert more.tried[:4] == first.tried
    assert len(more.tried) == 6


def test_the_held_out_period_begins_after_the_embargo(small, ask):
    question = ask(small, embargo_bars=7)
    rows = held_out(question)
    bars = small[1]["AAA"].time
    after = bars[bars > to_datetime64(question.config.until)]
    assert rows.as_of.min() == after[7]
    with pytest.raises(DataError, match="nothing is left to judge on: the forecasts end at"):
        held_out(ask(small, embargo_bars=5_000))


def test_the_lower_bound_is_students():
    goal = ask_goal(by_lower_bound=True)
    # mean 2, deviation 1, t(0.9, 2) = 1.8856
    assert goal.score([1.0, 2.0, 3.0]) == pytest.approx(2 - 1.8856 / np.sqrt(3), abs=1e-4)
    assert ask_goal().score([1.0, 2.0, 3.0]) == 2
    assert ask_goal().value(SimpleNamespace(sharpe=None)) == 0
    with pytest.raises(ConfigError, match="no such objective 'sharp'; did you mean 'sharpe'"):
        ask_goal("sharp")


def ask_goal(objective="sharpe", *, by_lower_bound=False):
    return Goal(objective, by_lower_bound, 1, BacktestConfig().cost)


@pytest.mark.parametrize("objective", ["calmar", "total_return"])
def test_other_objectives(small, ask, ledger, objective):
    question = ask(small, num_trials=3, objective=objective)
    found, judged = tuned(question, ledger)
    assert found.chosen.folds[0].value == getattr(found.chosen.folds[0].net, objective)
    told = report_json(question, found, judged)
    assert told["score"] == max(told["score"], told["default_score"]) or told["num_trials"] == 3
    assert f"Tuning period: {objective} " in told["verdict"][0]


def test_options_that_never_trade_are_worth_nothing(small, ask, ledger):
    question = ask(small, num_trials=2, space={"round_trip_cost_bps": Range(5_000.0, 9_000.0)})
    found, judged = tuned(question, ledger)
    assert found.chosen.score == 0
    assert judged.searched is None
    assert judged.difference is None
    told = " ".join(verdict(question, found, judged))
    assert "one of the two never traded" in told
