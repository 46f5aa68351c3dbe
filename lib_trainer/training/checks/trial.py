"""One update with an optimiser before the model is lent, so that what it cannot do is known at once."""
from __future__ import annotations

import torch

from lib_trainer import seeds
from lib_trainer.errors import UserError
from lib_trainer.keeping import dtype_named
from lib_trainer.training.learning import optimizers


def trial(name: str, args_text: str, precision: str = "fp32") -> None:
    """Makes one update of two small matrices, so that what a class cannot do is known before the model is lent.

    Args:
        name, args_text: as for `optimizers.build`.
        precision: of the adapters: "fp32", "bf16" or "fp16".

    Raises:
        UserError: as `optimizers.build`, or the class cannot learn the factors of a LoRA.
    """
    known, row = optimizers.find(name)
    if row.needs_cuda:
        optimizers.arguments(known, args_text)
        return
    weights = [torch.nn.Parameter(torch.ones(2, 2, dtype=dtype_named(precision))) for _ in range(2)]
    optimizer = optimizers.build(known, args_text, [{"name": "unet", "params": weights, "lr": 1.0}])
    # A fresh LoRA's first gradient of `down` is 0, since its `up` is.
    weights[0].grad, weights[1].grad = torch.ones_like(weights[0]), torch.zeros_like(weights[1])
    try:
        with seeds.process_wide(0, "trial"):
            optimizer.step()
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        raise UserError(f"The optimiser {known} cannot train a LoRA ({error}). Choose another one.") from error
    if not all(bool(weight.isfinite().all()) for weight in weights):
        raise UserError(f"The optimiser {known} divides by its eps, which is 0 in {precision}. Let the LoRA learn in "
                        "fp32 (or bf16), or give a greater eps in the optimiser's arguments, such as eps=1e-4.")
