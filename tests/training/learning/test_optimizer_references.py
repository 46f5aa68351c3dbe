"""The classes taken in place of the authors' own compute what those do.

In double precision, where a method's own instability does not blow up the last bit: what is left are the numbers that
one of the two keeps in single precision (d, and sums for it).
"""
from __future__ import annotations

import importlib

import pytest
import torch

from lib_trainer.training.learning import optimizers

ADAFACTOR = "relative_step=True scale_parameter=True"


@pytest.fixture(autouse=True)
def double() -> object:
    """Double precision while a test runs."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def trained(optimizer_of: object, updates: int = 60) -> torch.Tensor:
    """Fits a LoRA-shaped product of two matrices, and a 1x1 convolution, to noisy data; returns all weights."""
    start = torch.Generator().manual_seed(0)
    down = torch.nn.Parameter(0.1 * torch.randn(6, 8, generator=start))
    up = torch.nn.Parameter(torch.zeros(5, 6))
    other = torch.nn.Parameter(0.1 * torch.randn(4, 3, 1, 1, generator=start))
    wanted = torch.randn(5, 8, generator=start)
    optimizer = optimizer_of([{"name": "a", "params": [down, up]}, {"name": "b", "params": [other]}])  # type: ignore
    if optimizers.switches_weights(optimizer):
        optimizer.train()
    for number in range(updates):
        optimizer.zero_grad()
        inputs = torch.randn(16, 8, generator=torch.Generator().manual_seed(number + 1))
        error = inputs @ down.T @ up.T - inputs @ wanted.T
        (error.square().mean() + (other - 0.5).square().mean()).backward()
        optimizer.step()
    if optimizers.switches_weights(optimizer):
        optimizer.eval()
    return torch.cat([weight.detach().flatten() for weight in (down, up, other)])


@pytest.mark.parametrize(("name", "original", "args"), [
    ("Lion", "lion_pytorch.Lion", "weight_decay=0.1"),
    ("Prodigy", "prodigyopt.Prodigy", ""),
    ("Prodigy", "prodigyopt.Prodigy", "weight_decay=0.01 use_bias_correction=True safeguard_warmup=True d_coef=2"),
    ("Prodigy", "prodigyopt.Prodigy", "growth_rate=1.02 beta3=0.99"),
    ("DAdaptAdam", "dadaptation.DAdaptAdam", ""),
    ("DAdaptAdam", "dadaptation.DAdaptAdam", "decouple=True weight_decay=0.1 use_bias_correction=True"),
    ("DAdaptAdam", "dadaptation.DAdaptAdam", "weight_decay=0.1 growth_rate=1.5"),
    ("DAdaptLion", "dadaptation.DAdaptLion", ""),
    ("DAdaptLion", "dadaptation.DAdaptLion", "betas=0.9,0.999 weight_decay=0.1 d0=1e-05"),
    ("DAdaptAdaGrad", "dadaptation.DAdaptAdaGrad", "momentum=0.9 weight_decay=0.1"),
    ("AdamWScheduleFree", "schedulefree.AdamWScheduleFree", "warmup_steps=10 weight_decay=0.1"),
    ("RAdamScheduleFree", "schedulefree.RAdamScheduleFree", "weight_decay=0.1"),
    ("SGDScheduleFree", "schedulefree.SGDScheduleFree", "warmup_steps=10 weight_decay=0.1"),
])
def test_the_class_computes_what_the_authors_does(name: str, original: str, args: str) -> None:
    rate = 1.0 if optimizers.find(name)[1].finds_rate else 1e-2

    def ours(groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        return optimizers.build(name, args, [{**group, "lr": rate} for group in groups])

    def theirs(groups: list[dict[str, object]]) -> torch.optim.Optimizer:
        module, _, class_name = original.rpartition(".")
        made: torch.optim.Optimizer = getattr(importlib.import_module(module), class_name)(
            groups, lr=rate, **optimizers.parse_args(args))
        return made

    # The weights are of size 1; sums for d are kept in single precision by one side.
    assert torch.allclose(trained(ours), trained(theirs), rtol=1e-6, atol=1e-6)
