"""One low-rank layer: its start, its two forms, its precision."""
from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from lib_trainer.errors import UserError
from lib_trainer.host_model import Target
from lib_trainer.lora import layers
from lib_trainer.lora.adapters import making
from lib_trainer.lora.adapters.form import Form
from tests.lora.models import KERNEL, input_for
from tests.lora.models import layers as host_layers

CASES = [pytest.param(target, id=target.name.split("_", 2)[2]) for target in host_layers()]


def learned(target: Target, seed: int = 0) -> layers.LoraLayer:
    """Returns a layer whose `up` is no longer zero."""
    generator = torch.Generator().manual_seed(seed)
    layer = making.create(target, "lora", 3, 1.5, Form(), generator)
    with torch.no_grad():
        layer.up.normal_(generator=generator)
    return layer


def merged(target: Target, delta: Tensor) -> nn.Module:
    """Returns a copy of the host layer with the weight form added."""
    module = copy.deepcopy(target.module)
    with torch.no_grad():
        module.weight += delta
    return module


@pytest.mark.parametrize("target", CASES)
def test_starts_as_the_identity(target: Target) -> None:
    layer = making.create(target, "lora", 4, 1.0, Form(), torch.Generator().manual_seed(0))
    assert not layer.weight_delta().any()
    assert layer.down.dtype == layer.up.dtype == torch.float32
    bound = layer.down[0].numel() ** -0.5
    assert layer.down.abs().max() <= bound
    # uniform, not merely bounded: the spread of U(-b, b) is b/sqrt(3); 24 to 216 draws leave about 20 %
    assert layer.down.std().item() == pytest.approx(bound / 3**0.5, rel=0.25)


@pytest.mark.parametrize("target", CASES)
@pytest.mark.parametrize("multiplier", [1.0, -0.7])
def test_forward_form_equals_weight_form(target: Target, multiplier: float) -> None:
    layer, x = learned(target), input_for(target)
    expected = merged(target, multiplier * layer.weight_delta())(x)
    # Both sum some 50 products of numbers near 1 in float32, in different orders.
    torch.testing.assert_close(target.module(x) + layer.delta(x, multiplier), expected, rtol=1e-5, atol=1e-5)


def test_tucker_factors_have_both_forms() -> None:
    target = next(target for target in host_layers() if target.name == KERNEL)
    draw = torch.Generator().manual_seed(3)
    down, up = torch.randn(4, 6, 1, 1, generator=draw), torch.randn(8, 4, 1, 1, generator=draw)
    mid = torch.randn(4, 4, 3, 3, generator=draw)
    layer, x = layers.from_tensors(target, down, up, 2.0, mid), input_for(target)
    assert layer.scale == 0.5
    # Sums of 864 products of normal numbers: float32 keeps about 1e-4 of them.
    torch.testing.assert_close(
        target.module(x) + layer.delta(x), merged(target, layer.weight_delta())(x), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("target", CASES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_train_float32_factors(target: Target, dtype: torch.dtype) -> None:
    layer, x = learned(target), input_for(target, dtype)
    delta = layer.delta(x)
    assert delta.dtype == dtype
    delta.float().square().mean().backward()
    assert layer.down.grad is not None and layer.down.grad.dtype == torch.float32
    assert layer.down.grad.abs().sum() > 0


def test_autocast_computes_in_its_own_dtype() -> None:
    target = host_layers()[0]
    layer, x = learned(target), input_for(target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.delta(x).dtype == torch.bfloat16


def test_a_1x1_convolution_may_be_written_as_a_matrix_and_back() -> None:
    linear, projection = Target("a", nn.Linear(6, 8)), Target("b", nn.Conv2d(6, 8, 1))
    down, up = torch.randn(2, 6), torch.randn(8, 2)
    as_matrix = layers.from_tensors(linear, down[..., None, None], up[..., None, None], 2.0)
    as_kernel = layers.from_tensors(projection, down, up, 2.0)
    # matrix product and einsum may add in another order
    torch.testing.assert_close(as_matrix.weight_delta(), as_kernel.weight_delta()[..., 0, 0])


def test_factors_of_another_model_are_refused() -> None:
    with pytest.raises(UserError, match=r"\[2, 7\].*\[2, 6\].*another kind of model"):
        layers.from_tensors(Target("lora_unet_x", nn.Linear(6, 8)), torch.zeros(2, 7), torch.zeros(8, 2), 1.0)


def test_shapes_suffice_to_create() -> None:
    layer = making.create(Target("x", nn.Linear(6, 8, device="meta")), "lora", 2, 1.0, Form(), torch.Generator())
    assert layer.down.device.type == "cpu"
