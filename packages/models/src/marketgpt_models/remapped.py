"""A trained model that goes on with other bins: its tables follow the tokens, everything else stays.

``marketgpt tokenizer refit TOKENIZER --out NEW --remap TABLES`` cuts new bins and says what each new token is
in old ones (``marketgpt_tokenizer.remap``). Here the rows of a model's embeddings and outputs are mixed
accordingly. What it says is then what it said before, seen through other bins, with the shares of the new
candles; training goes on from there.

Legend: K channels, D width, V_old, V_new tokens of a channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import RunError
from marketgpt_core.run import Run, claim_folder
from marketgpt_core.tokens import Tokenizer, load_tokenizer
from marketgpt_models.base import InputSpec
from marketgpt_models.checkpoint import check_fit, load_model, read_model_json, save_model
from marketgpt_models.forecaster import TOKENIZER_JSON
from marketgpt_models.forecaster_file import read_forecaster_file, write_forecaster_file

if TYPE_CHECKING:
    from torch import Tensor

_ROW_SUM_ERROR = 1e-6


@dataclass(frozen=True, eq=False)
class TokenTables:
    """What the tokens of one channel are in the old ones.

    Attributes:
        mixing: shape (V_new, V_old), float64, rows sum to 1: share of each new bin's law in each old bin.
        shift: shape (V_new,), float64: what to add to mixed logits.
    """

    mixing: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path, *, old: Tokenizer, new: Tokenizer) -> tuple[Self, ...]:
        """Read K tables, written for these very tokenizers.

        Raises:
            RunError: when the file is missing, no such file, of other tokenizers, or damaged.
        """
        tensors, metadata = _read(path)
        for name, tokenizer in (("old", old), ("new", new)):
            if metadata.get(name) != tokenizer.fingerprint():
                raise RunError(
                    f"{path} was written for the {name} tokenizer {metadata.get(name, 'of no name')[:12]}, "
                    f"the one at hand is {tokenizer.fingerprint()[:12]}"
                )
        sizes = zip(new.channel_names, new.vocab_sizes, old.vocab_sizes, strict=True)
        return tuple(cls(*_of_channel(tensors, path, *one)) for one in sizes)


def _read(path: Path) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read as remap tables: {error}") from error


def _of_channel(
    tensors: Mapping[str, NDArray[np.float64]], path: Path, name: str, num_new: int, num_old: int
) -> list[NDArray[np.float64]]:
    found = []
    for part, shape in (("mixing", (num_new, num_old)), ("shift", (num_new,))):
        table = tensors.get(f"{name}.{part}")
        if table is None or table.shape != shape or table.dtype != np.float64:
            raise RunError(f"{path} holds no {name}.{part} of float64 {list(shape)}")
        if not np.isfinite(table).all():
            raise RunError(f"{path}: {name}.{part} holds numbers that are not finite")
        found.append(table)
    mixing = found[0]
    if (mixing < 0).any() or np.abs(mixing.sum(axis=1) - 1).max() > _ROW_SUM_ERROR:
        raise RunError(f"{path}: the rows of {name}.mixing are no shares")
    return found


def remapped_weights(
    weights: Mapping[str, Tensor], tables: Sequence[TokenTables], spec: InputSpec
) -> dict[str, Tensor]:
    """Return a state dict of one of our networks for the new tokens.

    Args:
        weights: Of a :class:`marketgpt_models.network.CandleNetwork`.
        tables: One a channel.
        spec: What it was built for.

    Raises:
        RunError: when the weights have none of our networks' tables.
    """
    import torch

    embedding = "token_embedding.table.weight"
    if embedding not in weights or "candle_head.logits.0.bias" not in weights:
        raise RunError(f"the model has no {embedding} and candle_head: how its tables follow is not known")

    def mixed(channel: int, table: Tensor) -> Tensor:
        mixing = torch.from_numpy(tables[channel].mixing)
        return (mixing @ table.double()).to(table.dtype)

    result = dict(weights)
    parts = torch.split(weights[embedding], list(spec.vocab_sizes))
    result[embedding] = torch.cat([mixed(k, part) for k, part in enumerate(parts)])
    for k, one in enumerate(tables):
        for name in (f"token_embeddings.{k}.weight", f"logits.{k}.weight", f"logits.{k}.bias"):
            if (
                f"candle_head.{name}" in weights
            ):  # the last channel is not embedded, nor any of a parallel head
                result[f"candle_head.{name}"] = mixed(k, weights[f"candle_head.{name}"])
        bias = f"candle_head.logits.{k}.bias"
        result[bias] = result[bias] + torch.from_numpy(one.shift).to(result[bias].dtype)
    return result


def remap_run(run: Run | Path | str, *, tokenizer: Path, tables: Path, out: Path) -> Run:
    """Write a run whose model reads and says the tokens of another tokenizer.

    Its recalibration is left out: it was fitted on what the model said before.

    Args:
        run: A trained run of one of our variants.
        tokenizer: The new tokenizer's file.
        tables: What ``marketgpt tokenizer refit --remap`` wrote beside it.
        out: The new run's folder; must not hold a run already.

    Raises:
        RunError: when something does not fit the run, or ``out`` holds one.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    for name in ("model.json", "model.safetensors"):
        run.file(name)
    old, new = load_tokenizer(run.file(TOKENIZER_JSON)), load_tokenizer(tokenizer)
    if tuple(old.channel_names) != tuple(new.channel_names):
        raise RunError(
            f"{tokenizer} has the channels {', '.join(new.channel_names)}, "
            f"the run {', '.join(old.channel_names)}"
        )
    variant, spec, module = load_model(run.path, expected_tokenizer_fingerprint=old.fingerprint())
    read = TokenTables.read(tables, old=old, new=new)
    weights = remapped_weights(module.state_dict(), read, spec)
    new_spec = spec.model_copy(update={"vocab_sizes": tuple(new.vocab_sizes)})
    check_fit(new, new_spec)
    claim_folder(out)
    made = variant.build(new_spec)
    made.load_state_dict(weights)
    new.save(out / TOKENIZER_JSON)
    save_model(
        out,
        str(read_model_json(run.path)["variant"]),
        variant.config,
        new_spec,
        made,
        tokenizer_fingerprint=new.fingerprint(),
    )
    if "config.toml" in run.manifest["files"]:
        (out / "config.toml").write_bytes(run.file("config.toml").read_bytes())
    write_forecaster_file(out, read_forecaster_file(run)[0], None)
    return Run.seal(out, data_fingerprint=run.data_fingerprint, remapped_from=run.id)
