"""Weighting made part of the tensors: for every kind, baked at strength 1 is the weighted one."""
from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lib_trainer.errors import Lacking, UserError
from lib_trainer.host_model import Target
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.bake import Baked, bake
from lib_trainer.lora.changes import own_weight
from tests.lora import kinds
from tests.lora.models import ATTENTION, KERNEL, TEXT, layers

CASES = [pytest.param(kind, target, id=f"{kind}-{target.name.split('_', 2)[2]}") for kind, target in kinds.cases()]
NORM_CASES = [pytest.param("norm", target, id=f"norm-{target.name.split('_', 2)[2]}") for target in kinds.norms()]
FACTORS = (0.5, -1.0, 0.3, 2.0)


def state_of(kind: str, target: Target, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    parts = kinds.norm_parts() if kind == "norm" else kinds.draw(kind, target)
    return {f"{target.name}.{part}": tensor.to(dtype) if tensor.is_floating_point() else tensor
            for part, tensor in parts.items()}


def change(target: Target, state: dict[str, Tensor]) -> registry.Change:
    parts = {name.removeprefix(f"{target.name}."): tensor for name, tensor in state.items()}
    return registry.change(target.name, layer_parts.read(parts), own_weight(target))


def baked_with(kind: str, target: Target, factor: float, dtype: torch.dtype = torch.float32) -> Baked:
    base = own_weight(target)
    return bake(state_of(kind, target, dtype), {target.name: factor}, lambda layer: base)


def assert_times(found: Tensor | None, factor: float, full: Tensor | None, tolerance: float) -> None:
    """Holds one term of a change to a multiple of the full one, relative to its greatest entry."""
    if full is None:
        assert found is None
    else:
        assert found is not None
        torch.testing.assert_close(found, factor * full, rtol=0, atol=tolerance * float((factor * full).abs().max()))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(("kind", "target"), [*CASES, *NORM_CASES])
def test_baked_at_1_is_the_weighted_one(kind: str, target: Target, factor: float) -> None:
    baked = baked_with(kind, target, factor)
    full, found = change(target, state_of(kind, target)), change(target, baked.tensors)
    # One rounding to float32 per tensor; the products of both are then summed in the same order.
    assert_times(found.weight, factor, full.weight, 1e-5)
    assert_times(found.bias, factor, full.bias, 1e-6)
    assert (baked.rewritten if kind in kinds.NOT_MULTIPLES else baked.scaled) == [target.name]
    assert baked.kept == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("kind", "target"), [*CASES, *NORM_CASES])
def test_half_precision_rounds_once(kind: str, target: Target, dtype: torch.dtype) -> None:
    baked = baked_with(kind, target, 0.3, dtype)
    assert {tensor.dtype for tensor in baked.tensors.values()} <= {dtype, torch.int16, torch.int64}
    full, found = change(target, state_of(kind, target, dtype)), change(target, baked.tensors)
    # Half a unit in the last place of every scaled entry, which a sum of some 50 of both signs does not exceed.
    assert_times(found.weight, 0.3, full.weight, torch.finfo(dtype).eps)
    assert_times(found.bias, 0.3, full.bias, torch.finfo(dtype).eps)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([case for case in kinds.cases()]), st.floats(-4, 4).filter(lambda r: r == 0 or abs(r) > 1e-3),
       st.integers(0, 1000))
def test_any_factor(case: tuple[str, Target], factor: float, seed: int) -> None:
    kind, target = case
    state = {f"{target.name}.{part}": tensor for part, tensor in kinds.draw(kind, target, seed).items()}
    other = {f"{TEXT}x.diff": torch.ones(1)}
    baked = bake(state | other, {target.name: factor}, lambda layer: own_weight(target))
    tensors = {name: tensor for name, tensor in baked.tensors.items() if name not in other}
    if factor == 0:
        assert tensors == {}
    else:
        full, found = change(target, state), change(target, tensors)
        assert_times(found.weight, factor, full.weight, 1e-5)
        assert_times(found.bias, factor, full.bias, 1e-6)


@pytest.mark.parametrize(("kind", "target"), [*CASES, *NORM_CASES])
def test_1_is_untouched_and_0_is_left_out(kind: str, target: Target) -> None:
    state = state_of(kind, target, torch.float16)
    same = bake(state, {target.name: 1.0})
    assert same.tensors.keys() == state.keys() and same.untouched == [target.name]
    assert all(same.tensors[name] is state[name] for name in state)
    with pytest.raises(UserError, match="leave nothing of the LoRA"):
        bake(state, {target.name: 0.0})
    both = bake(state | {f"{TEXT}x.diff": torch.ones(1)}, {target.name: 0.0})
    assert list(both.tensors) == [f"{TEXT}x.diff"] and both.dropped == [target.name]


@pytest.mark.parametrize("kind", kinds.NOT_MULTIPLES)
def test_without_the_base_a_fraction_of_dora_or_oft_is_told(kind: str) -> None:
    target = next(target for target in layers() if target.name == KERNEL)
    with pytest.raises(Lacking, match=rf"1 layer of the kind (DoRA|OFT|BOFT), such as '{KERNEL}'.*0\.5") as raised:
        bake(state_of(kind, target), {target.name: 0.5})
    assert raised.value.field == "base"


def test_what_belongs_to_no_layer_travels_along() -> None:
    target = layers()[0]
    state = state_of("lora", target) | {"bundle_emb.word.string_to_param.*": torch.ones(2, 3)}
    baked = bake(state, {target.name: 0.5})
    assert torch.equal(baked.tensors["bundle_emb.word.string_to_param.*"], torch.ones(2, 3))
    assert baked.kept == 1


def test_a_layer_of_an_unknown_kind_can_only_stay_or_go() -> None:
    state = {f"{TEXT}.mystery": torch.ones(2)} | state_of("lora", layers()[0])
    assert f"{TEXT}.mystery" in bake(state, {ATTENTION: 0.5}).tensors
    assert f"{TEXT}.mystery" not in bake(state, {TEXT: 0.0}).tensors
    with pytest.raises(UserError, match=rf"unknown kind, such as '{TEXT}\.mystery'"):
        bake(state, {TEXT: 0.5})


def test_numbers_that_overflow_the_dtype_are_refused() -> None:
    target = layers()[0]
    with pytest.raises(UserError, match=r"lora_up\.weight' times 100000 is too great for its dtype \(float16\)"):
        bake(state_of("lora", target, torch.float16), {target.name: 1e5})
