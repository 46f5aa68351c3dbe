"""State as JSON and tensors and back, and every optimiser's state among them."""
from __future__ import annotations

import json
import math
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib_trainer.errors import UserError
from lib_trainer.training.learning import optimizers
from lib_trainer.training.learning.optimizers import OPTIMIZERS
from lib_trainer.training.resume.packing import pack, unpack
from lib_trainer.training.resume.states import _take_back

numbers = st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none() | st.text()
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
trees = st.recursive(
    numbers, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(keys, inner)
    | st.frozensets(st.text()))


def through_json(value: Any) -> Any:
    tensors: dict[str, torch.Tensor] = {}
    return unpack(json.loads(json.dumps(pack(value, tensors))), tensors)


@given(trees)
def test_everything_comes_back_as_it_was(value: Any) -> None:
    assert through_json(value) == value


def test_tensors_keep_dtype_and_numbers_and_are_copies() -> None:
    kept = torch.arange(6, dtype=torch.bfloat16).view(2, 3).T
    back = through_json({"a": [kept, torch.tensor(3)], 0: (torch.zeros(0, dtype=torch.uint8),)})
    assert torch.equal(back["a"][0], kept) and back["a"][0].dtype == torch.bfloat16
    kept.zero_()
    assert back["a"][0].any() and back["a"][1].shape == () and back[0][0].dtype == torch.uint8
    assert math.isnan(through_json(float("nan"))) and through_json(np.float32(0.5)) == 0.5
    assert through_json(deque([1, 2], maxlen=2)) == [1, 2]


def test_what_cannot_be_kept_is_named() -> None:
    with pytest.raises(UserError, match="cannot hold a object"):
        pack({"a": [object()]}, {})


@pytest.mark.parametrize("name", [name for name, row in OPTIMIZERS.items() if not row.needs_cuda])
def test_every_optimiser_goes_on_bit_for_bit(name: str) -> None:
    """Three updates, the state through JSON, three more: as six updates without a break."""
    def made() -> tuple[list[torch.nn.Parameter], torch.optim.Optimizer]:
        generator = torch.Generator().manual_seed(1)
        weights = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (3, 4), (5,))]
        groups = [{"name": part, "params": members, "lr": 1e-2}  # D-Adaptation refuses different rates
                  for part, members in (("unet", weights[:2]), ("text_encoder", weights[2:]))]
        return weights, optimizers.build(name, "", groups)

    def update(weights: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer, number: int) -> None:
        generator = torch.Generator().manual_seed(100 + number)
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
        optimizer.zero_grad()

    try:
        whole, steady = made()
    except UserError as missing:
        pytest.skip(str(missing))
    if hasattr(steady, "train"):
        steady.train()
    for number in range(3):
        update(whole, steady, number)
    parts, again = made()
    with torch.no_grad():
        for part, weight in zip(parts, whole, strict=True):
            part.copy_(weight)
    _take_back(again, through_json(steady.state_dict()))
    if hasattr(again, "train"):
        again.train()
    for number in range(3, 6):
        update(whole, steady, number)
        update(parts, again, number)
    assert all(torch.equal(part, weight) for part, weight in zip(parts, whole, strict=True))
