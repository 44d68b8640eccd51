"""What ``marketgpt models`` tells of the installed variants, without building one. It brings no torch."""

from __future__ import annotations

from typing import Any

from marketgpt_core.config import load_config
from marketgpt_core.errors import MarketGPTError
from marketgpt_models.base import InputSpec, ModelVariant
from marketgpt_models.calendar import CALENDAR_SIZES
from marketgpt_models.presets import SHAPES, Shape
from marketgpt_models.registry import models

# What the OHLC tokenizer typically learns: what parameter counts are quoted for.
_TYPICAL_VOCABULARY = (69, 69, 38, 38)
_HORIZONS = (1, 5, 10, 21, 42)
_TASKS = {"direction": 3, "volatility": 8, "range": 8}


def typical_spec() -> InputSpec:
    """Return the specification parameter counts are quoted for: our tokenizers' defaults, five horizons."""
    return InputSpec(
        vocab_sizes=_TYPICAL_VOCABULARY,
        num_continuous=len(_TYPICAL_VOCABULARY) + 3,
        calendar_sizes=CALENDAR_SIZES,
        horizons=_HORIZONS,
        horizon_bins={"horizons": list(_HORIZONS)},
        task_names=tuple(_TASKS),
        task_sizes=tuple(_TASKS.values()),
    )


def described(name: str) -> dict[str, Any]:
    """Return a variant's name, parameters, context, distribution and options, and its size by preset."""
    variant = models().create(name)
    plugin = models().provider(name)
    return {
        "name": name,
        "parameters": variant.num_parameters(typical_spec()),
        "context": variant.config.context,
        "distribution": f"{plugin.distribution} {plugin.version}",
        "config": variant.config.model_dump(mode="json"),
        "presets": {preset: _parameters(type(variant), shape) for preset, shape in SHAPES.items()},
    }


def _parameters(variant: type[ModelVariant], shape: Shape) -> int | None:
    """Return a variant's parameters in a preset's shape; None where it has no such shape."""
    options = {name: value for name, value in shape.options.items() if name in variant.Config.model_fields}
    if not {"dim", "num_layers"} <= options.keys():
        return None
    try:
        made = variant(load_config(variant.Config, options, where=f"preset of {shape.variant}"))
        return made.num_parameters(typical_spec())
    except MarketGPTError:
        return None


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the listing: variants at their defaults and by preset, then the presets."""
    width = max((len(row["name"]) for row in rows), default=4)
    columns = ["default", *SHAPES]
    lines = [f"{'parameters':<{width}}  " + "  ".join(f"{one:>11}" for one in columns) + "  from"]
    for row in rows:
        sizes = [row["parameters"], *row["presets"].values()]
        numbers = "  ".join(f"{'-' if one is None else format(one, ','):>11}" for one in sizes)
        lines.append(f"{row['name']:<{width}}  {numbers}  {row['distribution']}")
    lines += ["", f"{'preset':<{width}}  layers  width  heads  context  dropout"]
    for preset, shape in SHAPES.items():
        given = shape.options
        lines.append(
            f"{preset:<{width}}  {given['num_layers']:>6}  {given['dim']:>5}  {given['num_heads']:>5}"
            f"  {given['context']:>7}  {given['dropout']:>7}"
        )
    return lines
