"""The search itself: the same by seed, gone on with after it was killed, whatever the file."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_signals.tuning.space import Choice, Range
from marketgpt_signals.tuning.study import Search, best_of

SPACE = {"x": Range(-2.0, 2.0), "n": Range(1, 9), "way": Choice(("left", "right"))}


def worth(options):
    value = -((options["x"] - 0.7) ** 2) - abs(options["n"] - 4) - (options["way"] == "left")
    return SimpleNamespace(score=value, folds=[SimpleNamespace(value=value)])


def run(num_trials, *, seed=1, storage=None, space=SPACE, attempt=None, name="s"):
    search, asked = Search(name, space, seed=seed, storage=storage), []

    def default(number, options):
        asked.append(dict(options))
        return worth(options)

    search.run(num_trials, attempt or default)
    return search.tried(), asked


def test_it_is_the_same_by_seed_and_finds_the_top():
    first, _ = run(60)
    again, _ = run(60)
    assert first == again
    other, _ = run(60, seed=2)
    assert [one.options for one in first] != [one.options for one in other]
    best = best_of(first)
    assert best.options["way"] == "right"
    assert best.options["n"] == 4
    assert best.options["x"] == pytest.approx(0.7, abs=0.4)


def test_a_study_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path):
    whole, _ = run(20)
    file = tmp_path / "deep" / "s.db"
    run(6, storage=file)

    class Killed(BaseException):
        pass

    def dies(number, options):
        if number == 9:
            raise Killed
        return worth(options)

    with pytest.raises(Killed):
        run(20, storage=file, attempt=dies)
    gone_on, asked = run(20, storage=file)
    assert [one.options for one in gone_on] == [one.options for one in whole]
    assert len(asked) == 20 - 9
    assert run(20, storage=file)[1] == []


def test_two_studies_live_in_one_file(tmp_path):
    file = tmp_path / "s.db"
    run(3, storage=file)
    tried, _ = run(2, storage=file, name="other")
    assert len(tried) == 2


def test_options_that_come_up_again_are_not_tried_again():
    tried, asked = run(
        30, space={"way": Choice(("left", "right")), "x": Choice((0.5, 0.7)), "n": Choice((4, 5))}
    )
    assert len(tried) == 30
    assert 4 <= len(asked) <= 8
    assert len({str(sorted(one.items())) for one in asked}) == len(asked)


def test_options_that_do_not_go_together_are_passed_over_but_not_for_ever():
    tried, _ = run(10, attempt=lambda number, options: worth(options) if options["n"] > 2 else None)
    assert len(tried) == 10
    assert all(one.options["n"] > 2 for one in tried)
    with pytest.raises(ConfigError, match="do not go together: narrow the search"):
        run(5, attempt=lambda number, options: None)


def test_a_file_that_is_no_study_is_one_line(tmp_path):
    file = tmp_path / "s.db"
    file.write_bytes(b"this is no database, whatever its name says" * 30)
    with pytest.raises(RunError, match=r"cannot use the study .*s\.db: file is not a database"):
        run(2, storage=file)
    assert file.read_bytes().startswith(b"this is no database")


def test_equals_are_decided_by_who_came_first():
    tried, _ = run(5, attempt=lambda number, options: SimpleNamespace(score=1.0, folds=[]))
    assert best_of(tried).number == 0
