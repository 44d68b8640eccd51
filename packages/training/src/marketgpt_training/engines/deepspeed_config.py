"""The DeepSpeed configuration, generated from ours by one pure function."""

from __future__ import annotations

from typing import Any, Literal

from marketgpt_training.config import OptimConfig

Precision = Literal["fp32", "bf16", "fp16"]
Offload = Literal["none", "cpu"]

# A scale that every gradient overflows at is halved from step to step, down to 1.
_LOSS_SCALE = {
    "loss_scale": 0,
    "initial_scale_power": 16,
    "loss_scale_window": 1000,
    "hysteresis": 2,
    "min_loss_scale": 1,
}


def deepspeed_config(
    optim: OptimConfig,
    *,
    batch_size: int,
    world_size: int,
    zero_stage: int,
    precision: Precision,
    micro_batch_size: int | None = None,
    offload_optimizer: Offload = "none",
    offload_parameters: Offload = "none",
) -> dict[str, Any]:
    """Return the dict for ``deepspeed.initialize``.

    Args:
        optim: Optimizer settings. The learning rate is set by the loop at every step.
        batch_size: Windows of one rank's batch.
        world_size: Ranks.
        zero_stage: 0 to 3.
        precision: Of weights and products; below fp32 the optimizer keeps float32 weights of its own, and
            stage 0 becomes 1: DeepSpeed would keep them where no checkpoint reaches them, and on one rank
            the two are the same. fp16 scales the loss, by powers of two it finds itself.
        micro_batch_size: Windows put through the model at once; None: all of the rank's.
        offload_optimizer: Where the optimizer's weights and moments lie and are stepped; from stage 1.
        offload_parameters: Where weights lie while no layer works with them; stage 3.
    """
    micro = micro_batch_size or batch_size
    stage = zero_stage if precision == "fp32" else max(zero_stage, 1)
    zero: dict[str, Any] = {"stage": stage}
    for name, place in (("offload_optimizer", offload_optimizer), ("offload_param", offload_parameters)):
        if place != "none":
            zero[name] = {"device": place, "pin_memory": True}
    return {
        "train_batch_size": batch_size * world_size,
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": batch_size // micro,
        # Without ZeRO DeepSpeed clips parameter by parameter and tells nobody the norm: the engine does it.
        "gradient_clipping": optim.grad_clip if stage else 0.0,
        "zero_optimization": zero,
        "bf16": {"enabled": precision == "bf16"},
        "fp16": {"enabled": precision == "fp16", **(_LOSS_SCALE if precision == "fp16" else {})},
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": optim.lr,
                "betas": list(optim.betas),
                "weight_decay": optim.weight_decay,
                # torch's own AdamW: DeepSpeed's fused ones must be compiled on the machine first.
                "torch_adam": True,
                "fused": True,
            },
        },
        "steps_per_print": 2**31 - 1,
        "wall_clock_breakdown": False,
    }
