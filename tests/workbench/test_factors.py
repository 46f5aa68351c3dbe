"""Thin factors of every kind that has them, on layers where they are thin, and the convolutions that names tell of."""
from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host_model import Target
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.workbench import kernels
from lib_trainer.workbench.factors import needs_base, term
from lib_trainer.workbench.layer_sum import Weighted, add
from lib_trainer.workbench.reduction import Reduction
from lib_trainer.workbench.written import Style, write
from tests.lora import kinds
from tests.lora.models import ATTENTION, KERNEL, true_size_unet

ROUNDING = 1e-12
"""Both ways are double precision."""

MATRIX = Target(ATTENTION, nn.Linear(96, 64))
CONVOLUTION = Target(KERNEL, nn.Conv2d(96, 64, 3))
RANKS = {"lora": 3, "tucker": 3, "loha": 9, "loha_tucker": 9, "lokr_w2_ab": 6, "lokr_both": 9, "lokr_tucker": 6,
         "glora": 6, "glora_old": 6}
"""Rank 3 as it is, r^2 of LoHa, rank of one half times that of the other of LoKr (2 for a whole 2x2), 2 r of GLoRA."""

CASES = [(kind, MATRIX) for kind in RANKS if "tucker" not in kind] + [
    (kind, CONVOLUTION) for kind in RANKS if "glora" not in kind]


def weight_of(target: Target) -> Tensor:
    weight: Any = target.module.weight
    return weight.detach().double()


@pytest.mark.parametrize(("kind", "target"), CASES, ids=lambda value: str(getattr(value, "name", value))[-6:])
def test_thin_kinds_stay_thin(kind: str, target: Target) -> None:
    stored, weight = kinds.draw(kind, target, 3), weight_of(target)
    found = term(target.name, stored, lambda layer: weight)
    true = registry.change(target.name, layer_parts.read(stored).to_double(), weight).weight
    assert found.product is not None and found.product.rank == RANKS[kind] and true is not None
    assert (found.product.dense() * found.scale - true.flatten(1)).norm() < ROUNDING * true.norm()


@pytest.mark.parametrize("kind", ["loha", "lokr_w2_ab", "lokr_both"])
def test_a_kernel_that_the_file_hides_is_told_by_the_name(kind: str) -> None:
    found = term(KERNEL, kinds.draw(kind, CONVOLUTION, 3))
    layer = add(KERNEL, [Weighted(found, 1.0, "a")], kernels.kernel_of(KERNEL, "sd1"))
    written = write(layer, Style(Reduction()))
    assert layer.shape == (64, 96, 3, 3) and layer.is_conv and written.rank == RANKS[kind]
    assert written.tensors["lora_down.weight"].shape == (RANKS[kind], 96, 3, 3)
    assert written.tensors["lora_up.weight"].shape == (64, RANKS[kind], 1, 1)


def test_what_is_too_wide_becomes_a_difference() -> None:
    """LoHa of rank 7 has 49 directions: more numbers than the 64x96 matrix itself."""
    stored = {name: torch.randn(64, 7) if name.endswith("a") else torch.randn(7, 96)
              for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")}
    written = write(add(ATTENTION, [Weighted(term(ATTENTION, stored), 1.0, "a")]), Style(Reduction()))
    assert set(written.tensors) == {"diff"} and written.tensors["diff"].shape == (64, 96)


@pytest.mark.parametrize(("named", "family"), [(SD2, "sd1"), (SDXL, "sdxl")], ids=["sd1", "sdxl"])
def test_names_tell_the_kernels_of_the_true_models(named: Family, family: str) -> None:
    """SD 1.x has the names of SD 2.x, and its projections are convolutions as in the true-size network of the tests."""
    for target in true_size_unet(named):
        weight: Any = target.module.weight
        assert kernels.kernel_of(target.name, family) == tuple(weight.shape[2:]), target.name


def test_names_that_tell_nothing() -> None:
    assert kernels.kernel_of("lora_unet_mid_block_attentions_0_proj_in", "sd2") is None
    assert kernels.kernel_of("lora_te_text_model_encoder_layers_0_mlp_fc1", None) == ()


@pytest.mark.parametrize("stored", [
    {"lora_up.weight": torch.ones(8, 3), "lora_down.weight": torch.ones(2, 6)},
    {"hada_w1_a": torch.ones(8, 3), "hada_w1_b": torch.ones(3, 6), "hada_w2_a": torch.ones(8, 3),
     "hada_w2_b": torch.ones(3, 7)},
    {"lora_up.weight": torch.ones(8, 3, 3, 3), "lora_down.weight": torch.ones(3, 6, 1, 1)},
])
def test_tensors_that_do_not_fit_each_other(stored: dict[str, Tensor]) -> None:
    with pytest.raises(UserError, match="do not fit each other"):
        term("lora_unet_x", stored)


def test_which_kinds_need_the_base() -> None:
    needy = {kind for kind in kinds.KINDS if needs_base(kinds.draw(kind, MATRIX))}
    assert needy == {*kinds.NOT_MULTIPLES, "glora", "glora_old", "ia3", "ia3_in"} - {"tucker_dora"}
    assert math.isclose(term(ATTENTION, kinds.draw("lora", MATRIX)).scale, 0.5)
