"""The search: optuna asks, the folds answer; it can be killed and gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_signals.tuning.attempt import Attempt
from marketgpt_signals.tuning.space import Choice, Space

if TYPE_CHECKING:
    import optuna

_OPTIONS, _VALUES = "options", "values"


@dataclass(frozen=True)
class Tried:
    """A finished trial as the study keeps it.

    Attributes:
        number: In the order they were tried, from 0.
        options: What was searched; without what is fixed.
        values: Of the objective, by fold.
        score: Of the folds together.
    """

    number: int
    options: Mapping[str, Any]
    values: tuple[float, ...]
    score: float


def study_id(identity: Mapping[str, Any]) -> str:
    """Return a study's name: the same for the same question, whatever the number of trials; 16 hex digits."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Search:
    """A study of optuna's.

    Trial n depends on the seed, n and what was tried before, so that a study that was killed and gone on with
    tries the same as one that was not. Options that come up again are not traded again.

    Args:
        name: Of :func:`study_id`.
        space: What to search.
        seed: Of the sampler.
        storage: SQLite file that keeps it; None keeps it in memory.

    Raises:
        ConfigError: when optuna is not installed.
        RunError: when the file cannot be used.
    """

    def __init__(self, name: str, space: Space, *, seed: int, storage: Path | None) -> None:
        try:
            import optuna
        except ImportError as error:
            raise ConfigError("tuning needs optuna: pip install 'marketgpt-signals[tune]'") from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._seed, self._storage = space, seed, storage
        # What is asked for lives in memory; the file gets finished trials only, so that one killed half way
        # leaves nothing there, not even a number that was used up.
        self._study, self._kept = optuna.create_study(direction="maximize"), None
        if storage is None:
            return
        with self._told():
            storage.parent.mkdir(parents=True, exist_ok=True)
            self._kept = optuna.create_study(
                study_name=name,
                direction="maximize",
                storage=f"sqlite:///{storage.absolute()}",
                load_if_exists=True,
            )
            self._study.add_trials(self._kept.get_trials(deepcopy=False))

    def tried(self) -> list[Tried]:
        """Return the finished trials, oldest first."""
        from optuna.trial import TrialState

        found = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [
            Tried(
                number=number,
                options=one.user_attrs[_OPTIONS],
                values=tuple(one.user_attrs[_VALUES]),
                score=float(one.value or 0.0),
            )
            for number, one in enumerate(found)
        ]

    def run(self, num_trials: int, attempt: Callable[[int, Mapping[str, Any]], Attempt | None]) -> None:
        """Try until so many trials are finished, those of earlier calls among them.

        Args:
            num_trials: How many.
            attempt: Given a trial's number and options, tries them and writes it down; None for options that
                the strategy does not allow together.

        Raises:
            ConfigError: when nothing that comes up is allowed.
        """
        seen = {_key(one.options): one for one in self.tried()}
        done, refused = len(self.tried()), 0
        while done < num_trials:
            asked = self._ask()
            options = {name: _suggest(asked, name, one) for name, one in self._space.items()}
            before = seen.get(_key(options))
            if before is None:
                made = attempt(done, options)
                if made is None:
                    refused += 1
                    self._refuse(asked)
                    if refused > num_trials:
                        raise ConfigError(
                            f"{refused} times the options that came up do not go together: narrow the search"
                        )
                    continue
                values = tuple(fold.value for fold in made.folds)
                before = Tried(done, options, values, made.score)
                seen[_key(options)] = before
            self._finish(asked, before)
            done += 1

    def _ask(self) -> optuna.Trial:
        from optuna.samplers import TPESampler

        number = len(self._study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        self._study.sampler = TPESampler(seed=seed)
        return self._study.ask()

    def _finish(self, asked: optuna.Trial, done: Tried) -> None:
        asked.set_user_attr(_OPTIONS, dict(done.options))
        asked.set_user_attr(_VALUES, list(done.values))
        self._keep(self._study.tell(asked, done.score))

    def _refuse(self, asked: optuna.Trial) -> None:
        from optuna.trial import TrialState

        self._keep(self._study.tell(asked, state=TrialState.FAIL))

    def _keep(self, finished: optuna.trial.FrozenTrial) -> None:
        if self._kept is not None:
            with self._told():
                self._kept.add_trial(finished)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what storage says into one line."""
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (OptunaError, SQLAlchemyError, OSError, RuntimeError) as error:
            line = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise RunError(f"cannot use the study {self._storage or 'in memory'}: {line}") from error


def _suggest(asked: optuna.Trial, name: str, one: Any) -> Any:  # noqa: ANN401 - a Range or a Choice; a value
    if isinstance(one, Choice):
        return asked.suggest_categorical(name, one.values)
    if one.whole:
        return asked.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return asked.suggest_float(name, one.low, one.high, log=one.log)


def _key(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def best_of(tried: list[Tried]) -> Tried:
    """Return the trial of the highest score, the earliest of equals."""
    return max(tried, key=lambda one: (one.score, -one.number))
