"""The DeepSpeed configuration, generated from ours by one pure function."""

from __future__ import annotations

from typing import Any

from marketgpt_training.config import OptimConfig


def deepspeed_config(
    optim: OptimConfig,
    *,
    batch_size: int,
    world_size: int,
    zero_stage: int,
    precision: str,
    micro_batch_size: int | None = None,
) -> dict[str, Any]:
    """Return the dict for ``deepspeed.initialize``.

    Args:
        optim: Optimizer settings. The learning rate is set by the loop at every step.
        batch_size: Windows of one rank's batch.
        world_size: Ranks.
        zero_stage: 0 to 3.
        precision: ``fp32`` or ``bf16``. In bf16, stage 0 becomes 1: below it DeepSpeed keeps the float32
            weights where no checkpoint reaches them, and on one rank the two are the same.
        micro_batch_size: Windows put through the model at once; None: all of the rank's.
    """
    micro = micro_batch_size or batch_size
    stage = zero_stage if precision == "fp32" else max(zero_stage, 1)
    return {
        "train_batch_size": batch_size * world_size,
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": batch_size // micro,
        "gradient_clipping": optim.grad_clip,
        "zero_optimization": {"stage": stage},
        "bf16": {"enabled": precision == "bf16"},
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": optim.lr,
                "betas": list(optim.betas),
                "weight_decay": optim.weight_decay,
                # torch's own AdamW: DeepSpeed's fused one must be compiled on the machine first.
                "torch_adam": True,
            },
        },
        "steps_per_print": 2**31 - 1,
        "wall_clock_breakdown": False,
    }
