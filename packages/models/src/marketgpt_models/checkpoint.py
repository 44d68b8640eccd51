"""A trained model on disk: what it is in ``model.json``, weights in ``model.safetensors``. No pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.errors import DataError, MarketGPTError, RunError
from marketgpt_core.files import atomic_path, read_json, write_json
from marketgpt_models.base import InputSpec, ModelVariant
from marketgpt_models.registry import models

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_core.config import Config
    from marketgpt_core.tokens import Tokenizer

MODEL_JSON = "model.json"
WEIGHTS = "model.safetensors"
FORMAT = 1
# A description that asks for so many times what the file holds is damaged or hostile.
_FAR_TOO_MANY = 16
_KEYS = ("format", "variant", "config", "spec", "tokenizer_fingerprint")


def save_model(
    folder: Path,
    variant_name: str,
    config: Config,
    spec: InputSpec,
    module: nn.Module,
    *,
    tokenizer_fingerprint: str,
) -> None:
    """Write ``model.safetensors``, then ``model.json``, each atomically.

    Args:
        folder: Where; made if need be.
        variant_name: Name of the variant in the registry.
        config: Its options.
        spec: What the module was built for.
        module: The module; its state dict is written.
        tokenizer_fingerprint: ``Tokenizer.fingerprint()`` of the tokenizer it was trained with.
    """
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"tokenizer_fingerprint": tokenizer_fingerprint})
    values = (
        FORMAT,
        variant_name,
        config.model_dump(mode="json"),
        spec.model_dump(mode="json"),
        tokenizer_fingerprint,
    )
    write_json(folder / MODEL_JSON, dict(zip(_KEYS, values, strict=True)))


def load_model(
    folder: Path, *, expected_tokenizer_fingerprint: str
) -> tuple[ModelVariant, InputSpec, nn.Module]:
    """Read what :func:`save_model` wrote; the module comes back in evaluation mode, on the CPU.

    Args:
        folder: Where.
        expected_tokenizer_fingerprint: Of the tokenizer at hand: other tokens mean other candles.

    Raises:
        RunError: when a file is missing or damaged, weights do not fit the configuration, or the model was
            trained with another tokenizer.
        PluginError: when no installed plugin provides the variant.
    """
    content = read_model_json(folder)
    trained_with = str(content["tokenizer_fingerprint"])
    if trained_with != expected_tokenizer_fingerprint:
        raise RunError(
            f"{folder / MODEL_JSON} was trained with tokenizer {trained_with[:12]}..., "
            f"the one at hand is {expected_tokenizer_fingerprint[:12]}...; use the run's own tokenizer.json"
        )
    try:
        variant = models().create(str(content["variant"]), content["config"], where=str(folder / MODEL_JSON))
        spec = InputSpec.model_validate(content["spec"])
    except (MarketGPTError, ValueError) as error:
        if isinstance(error, MarketGPTError) and not isinstance(error, DataError):
            raise
        raise RunError(f"{folder / MODEL_JSON} describes no model: {_one_line(error)}") from error
    return variant, spec, _build(variant, spec, folder).eval()


def _build(variant: ModelVariant, spec: InputSpec, folder: Path) -> nn.Module:
    """Build the module and put the weights in; what the file cannot fill is never allocated."""
    import torch

    path = folder / WEIGHTS
    tensors = _read_weights(path)
    promised, held = variant.num_parameters(spec), sum(tensor.numel() for tensor in tensors.values())
    if promised > _FAR_TOO_MANY * max(held, 1):
        raise RunError(f"{path} holds {held:,} numbers, {folder / MODEL_JSON} describes {promised:,}")
    try:
        # Fresh weights are drawn only to be overwritten: the caller's random numbers must not notice.
        with torch.random.fork_rng(devices=[]):
            module = variant.build(spec)
    except (MarketGPTError, ValueError) as error:
        raise RunError(f"{folder / MODEL_JSON} describes no model: {_one_line(error)}") from error
    _fill(module, tensors, path)
    return module


def check_fit(tokenizer: Tokenizer, spec: InputSpec) -> None:
    """Refuse a tokenizer whose tokens are not the model's, or that has no close to follow.

    Raises:
        RunError: then.
    """
    if tuple(tokenizer.vocab_sizes) != spec.vocab_sizes:
        ours, theirs = list(spec.vocab_sizes), list(tokenizer.vocab_sizes)
        raise RunError(f"the tokenizer has vocabularies {theirs}, the model {ours}")
    if missing := {"gap", "body"} - set(tokenizer.channel_names):
        raise RunError(
            f"paths need the channels gap and body; the tokenizer lacks {', '.join(sorted(missing))}"
        )


def read_model_json(folder: Path) -> Mapping[str, Any]:
    """Read ``model.json``.

    Raises:
        RunError: when it is missing, not ours, or of another format.
    """
    path = folder / MODEL_JSON
    try:
        content = read_json(path)
    except DataError as error:
        raise RunError(str(error)) from error
    if not isinstance(content, dict) or any(key not in content for key in _KEYS):
        raise RunError(f"{path} is not a model: it needs {', '.join(_KEYS)}")
    if content["format"] != FORMAT:
        raise RunError(f"{path} has model format {content['format']!r}; this version reads {FORMAT}")
    return content


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    wanted = module.state_dict()
    if missing := sorted(wanted.keys() - tensors.keys()):
        raise RunError(f"{path} lacks {_few(missing)}")
    if extra := sorted(tensors.keys() - wanted.keys()):
        raise RunError(f"{path} holds {_few(extra)}, which the model has not")
    # In the model's order: a safetensors file gives its tensors in a random one.
    for name, expected in wanted.items():
        tensor = tensors[name]
        if tensor.shape != expected.shape or tensor.dtype != expected.dtype:
            raise RunError(
                f"{path}: {name} is {tensor.dtype} {list(tensor.shape)}, "
                f"the model has {expected.dtype} {list(expected.shape)}"
            )
        if not bool(tensor.isfinite().all()):
            raise RunError(f"{path}: {name} holds numbers that are not finite")
    module.load_state_dict(tensors)


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Read whole: a memory map of a file that is replaced or cut later would end the process.
        return load(path.read_bytes())
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} is not a safetensors file: {_one_line(error)}") from error


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown}, ... ({len(names)} in all)"  # noqa: PLR2004 - a readable few


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
