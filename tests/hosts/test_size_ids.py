"""SDXL's size ids against values of sd-scripts' function and against the formula in plain Python."""
from __future__ import annotations

import json
import math
from pathlib import Path

import torch

from lib_trainer.hosts import size_ids

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "sdxl_size_ids.json").read_text("utf8"))


def test_waves_equal_the_reference() -> None:
    """float32 cosines of 1024 radians: a frequency's rounding, 6e-8, times 1024 is 6e-5."""
    numbers = [*REFERENCE["orig_hw"], *REFERENCE["crop_tl"], *REFERENCE["target_hw"]]
    found = size_ids.waves(torch.tensor([numbers], dtype=torch.float32))
    assert list(found.shape) == REFERENCE["shape"]
    for place, first in enumerate(REFERENCE["first8_of_each_256"]):
        torch.testing.assert_close(found[0, 256 * place : 256 * place + 8], torch.tensor(first), rtol=0, atol=2e-4)


def test_waves_equal_the_formula() -> None:
    numbers = [768, 512, 16, 0, 1024, 1344]
    wanted = [wave(number * 10000 ** (-i / 128))
              for number in numbers for wave in (math.cos, math.sin) for i in range(128)]
    found = size_ids.waves(torch.tensor([numbers, numbers]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([wanted, wanted]), rtol=0, atol=2e-4)


def test_the_vector_keeps_dtype_and_gradient_of_the_pooled_text() -> None:
    pooled = torch.randn(2, 5, dtype=torch.float16, requires_grad=True)
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64], [100, 64, 18, 0, 64, 64]])
    found = size_ids.vector(pooled, sizes)
    assert found.shape == (2, 5 + 1536) and found.dtype == torch.float16
    assert torch.equal(found[:, :5], pooled) and torch.equal(found[:, 5:], size_ids.waves(sizes).half())
    found.sum().backward()
    assert pooled.grad is not None and torch.equal(pooled.grad, torch.ones_like(pooled))
