"""Several trained runs as one forecaster: their distributions mixed, their disagreement epistemic.

An ensemble's folder is a sealed run: ``ensemble.json`` names its members, sealed runs below ``members``.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.files import write_json
from marketgpt_core.forecast import Forecast, Forecaster
from marketgpt_core.forecast_pool import pooled
from marketgpt_core.run import MANIFEST, Run, claim_folder
from marketgpt_core.times import Moment

ENSEMBLE_JSON = "ensemble.json"
_FORMAT = 1
_MEMBERS = "members"
_MOST_MEMBERS = 64


class EnsembleForecaster:
    """Asks every member and pools what they say; see :func:`marketgpt_core.forecast_pool.pooled`.

    Args:
        members: At least two.
        model_id: Identity recorded in every forecast.
    """

    def __init__(self, members: Sequence[Forecaster], *, model_id: str) -> None:
        self.members = tuple(members)
        self._model_id = model_id

    @classmethod
    def from_pretrained(cls, run: Run | Path | str, **options: Any) -> EnsembleForecaster:  # noqa: ANN401 - of the members' forecasters
        """Load an ensemble's folder; ``options`` go to every member's forecaster.

        Raises:
            RunError: when the folder is no ensemble, or a member was tampered with.
        """
        from marketgpt_models.forecaster import load_forecaster

        run = run if isinstance(run, Run) else Run.open(run)
        return cls(
            [load_forecaster(run.path / _MEMBERS / name, **options) for name in _member_names(run)],
            model_id=f"ensemble-{run.id}",
        )

    @property
    def model_id(self) -> str:
        """``ensemble`` and the run's identity."""
        return self._model_id

    @property
    def min_history(self) -> int:
        """Candles a symbol needs before its first forecast: what the most demanding member needs."""
        return max(member.min_history for member in self.members)

    @property
    def reads_market(self) -> bool:
        """Whether other symbols' candles make its forecasts better."""
        return any(getattr(member, "reads_market", False) for member in self.members)

    def caveats(self, candles: Candles, symbols: Sequence[str] | None = None) -> list[str]:
        """Say what of these candles some member never saw."""
        asked = [getattr(member, "caveats", None) for member in self.members]
        lines = [line for one in asked if one for line in one(candles, symbols)]
        return list(dict.fromkeys(lines))

    def forecast(
        self,
        candles: Candles,
        *,
        horizons: Sequence[int],
        as_of: Sequence[Moment] | None = None,
        symbols: Sequence[str] | None = None,
        num_samples: int = 200,
        seed: int = 0,
    ) -> Forecast:
        """Forecast every symbol at every as-of date; see :class:`marketgpt_core.forecast.Forecaster`.

        Members draw from different seeds, ``num_samples`` each.
        """
        made = [
            member.forecast(
                candles,
                horizons=horizons,
                as_of=as_of,
                symbols=symbols,
                num_samples=num_samples,
                seed=seed * len(self.members) + number,
            )
            for number, member in enumerate(self.members)
        ]
        return pooled(_common(made), model_id=self.model_id)


def _common(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """Keep the pairs all members forecast: those with a longer context need a longer history."""
    pairs = [list(zip(one.symbols, one.as_of.tolist(), strict=True)) for one in forecasts]
    shared = set(pairs[0]).intersection(*pairs[1:])
    return [
        one.rows([number for number, pair in enumerate(own) if pair in shared])  # type: ignore[arg-type]
        for one, own in zip(forecasts, pairs, strict=True)
    ]


def make_ensemble(runs: Sequence[Path], folder: Path) -> Run:
    """Copy sealed runs into a new folder that forecasts as their mixture.

    Args:
        runs: At least two runs of the same interval; their configurations may differ.
        folder: Where; must not hold a run already.

    Raises:
        ConfigError: for fewer than two runs, or too many.
        RunError: when one is no run or was tampered with, or the folder holds one already.
    """
    if not 2 <= len(runs) <= _MOST_MEMBERS:  # noqa: PLR2004 - one is no ensemble
        raise ConfigError(f"an ensemble has 2 to {_MOST_MEMBERS} runs, got {len(runs)}")
    opened = [Run.open(path) for path in runs]
    identities = [run.id for run in opened]
    if len(set(identities)) < len(identities):
        raise ConfigError("an ensemble of the same run twice is that run: train with other seeds")
    claim_folder(folder)
    names = [f"{number:02d}" for number in range(len(opened))]
    for name, run in zip(names, opened, strict=True):
        _copy(run, folder / _MEMBERS / name)
    if "config.toml" in opened[0].manifest["files"]:
        # What was trained on until when, as evaluation wants to know it.
        shutil.copyfile(opened[0].file("config.toml"), folder / "config.toml")
    write_json(
        folder / ENSEMBLE_JSON, {"format": _FORMAT, "members": dict(zip(names, identities, strict=True))}
    )
    return Run.seal(folder, data_fingerprint=opened[0].data_fingerprint)


def _copy(run: Run, target: Path) -> None:
    for name in (*run.manifest["files"], MANIFEST):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.path / name, target / name)


def _member_names(run: Run) -> list[str]:
    content = run.json(ENSEMBLE_JSON)
    members = content.get("members")
    if content.get("format") != _FORMAT or not isinstance(members, dict) or not members:
        raise RunError(f"{run.path / ENSEMBLE_JSON} describes no ensemble")
    for name, identity in members.items():
        if not name.isdigit():
            raise RunError(f"{run.path / ENSEMBLE_JSON} names the member {name!r}; they are 00, 01, ...")
        found = Run.open(run.path / _MEMBERS / name).id
        if found != identity:
            raise RunError(f"{run.path / _MEMBERS / name} is the run {found}, not {identity}")
    return list(members)
