"""What this machine, and the model on it, can and cannot do."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lib_trainer.errors import UserError
from lib_trainer.host_model import HostModel
from lib_trainer.keeping import dtype_named
from lib_trainer.training.config import TrainConfig

if TYPE_CHECKING:
    import torch


def check_model(config: TrainConfig, model: HostModel) -> torch.dtype | None:
    """Returns the dtype to autocast to, None = compute as the model is.

    Raises:
        UserError: the precision cannot be had on this device or with these weights.
    """
    import torch

    wanted = dtype_named(config.precision) or model.compute_dtype
    device = model.device.type
    if wanted == torch.float16 and device == "cpu" and config.precision == "fp16":
        raise UserError("precision = 'fp16': the model is on the CPU, which cannot train in fp16; use bf16 or fp32.")
    if wanted == torch.float32 and model.compute_dtype != torch.float32:
        raise UserError(
            f"precision = 'fp32': the host has loaded the model in {str(model.compute_dtype).removeprefix('torch.')}; "
            "use auto, or start the host so that it loads in fp32."
        )
    if wanted == model.compute_dtype and (wanted == torch.float32 or device == "cpu"):
        return None
    return wanted


def hardware(config: TrainConfig) -> Iterator[str]:
    """What this machine cannot do at all; the model's own device is asked in `check_model`."""
    import torch

    from lib_trainer.training.checks.trial import trial
    from lib_trainer.training.learning import optimizers

    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available()
    if config.precision == "fp16" and not accelerated:
        yield "precision = 'fp16': this machine trains on the CPU, which cannot train in fp16; use auto, bf16 or fp32."
    try:
        name, row = optimizers.find(config.optimizer)
        optimizers.parse_args(config.optimizer_args)
    except UserError:
        return  # told by the rules of the settings already
    if row.needs_cuda and not torch.cuda.is_available():
        yield f"optimizer = {name!r}: it runs on NVIDIA cards only, and this machine has none; choose AdamW or Lion."
        return
    try:
        trial(name, config.optimizer_args, config.adapter_precision)
    except UserError as error:
        yield f"optimizer: {error}"
