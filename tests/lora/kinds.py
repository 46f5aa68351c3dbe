"""One layer of every kind of network, drawn at random for a model's layer, as LyCORIS and kohya write it.

`draw(kind, target, seed)` gives the tensors by part. The sizes suit the layers of `tests.lora.models`: 8 outputs and 6
inputs.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lib_trainer.host_model import Target
from tests.lora.models import ATTENTION, KERNEL, PROJECTION, STRIDED, TEXT
from tests.lora.models import layers as host_layers

RANK = 3
Parts = dict[str, Tensor]
LAYER_NORM = "lora_unet_mid_block_attentions_0_transformer_blocks_0_norm1"
GROUP_NORM = "lora_unet_mid_block_resnets_0_norm1"


class Draw:
    """Random tensors for a layer (outputs, inputs, *kernel)."""

    def __init__(self, weight: Tensor, seed: int) -> None:
        self.outputs, self.inputs, self.kernel = weight.shape[0], weight.shape[1], tuple(weight.shape[2:])
        self.ones = tuple(1 for _ in self.kernel)
        self.area = math.prod(self.kernel)
        self.weight = weight
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator)


def _alpha(value: float) -> Parts:
    return {"alpha": torch.tensor(value)}


def lora(d: Draw) -> Parts:
    return {"lora_down.weight": d(RANK, d.inputs, *d.kernel), "lora_up.weight": d(d.outputs, RANK, *d.ones),
            **_alpha(1.5)}


def tucker(d: Draw) -> Parts:
    return {"lora_down.weight": d(RANK, d.inputs, 1, 1), "lora_mid.weight": d(RANK, RANK, *d.kernel),
            "lora_up.weight": d(d.outputs, RANK, 1, 1), **_alpha(1.5)}


def _with_bias(d: Draw) -> Parts:
    return lora(d) | {"bias": d(*d.weight.shape)}


def _with_sparse_bias(d: Draw) -> Parts:
    matrix = (d.outputs, d.inputs * d.area)
    return lora(d) | {"bias_indices": torch.tensor([[0, 1, 5], [2, 3, 0]]).to(torch.int16), "bias_values": d(3),
                      "bias_size": torch.tensor(matrix)}


def _with_diff_b(d: Draw) -> Parts:
    return lora(d) | {"diff_b": d(d.outputs)}


def _dora_out(inner: Callable[[Draw], Parts]) -> Callable[[Draw], Parts]:
    return lambda d: inner(d) | {"dora_scale": 1 + d(d.outputs, 1, *d.ones).abs()}


def _dora_in(inner: Callable[[Draw], Parts]) -> Callable[[Draw], Parts]:
    return lambda d: inner(d) | {"dora_scale": 1 + d(1, d.inputs, *d.ones).abs()}


def loha(d: Draw) -> Parts:
    wide = d.inputs * d.area
    return {"hada_w1_a": d(d.outputs, RANK), "hada_w1_b": d(RANK, wide), "hada_w2_a": d(d.outputs, RANK),
            "hada_w2_b": d(RANK, wide), **_alpha(1.0)}


def _loha_tucker(d: Draw) -> Parts:
    return {"hada_w1_a": d(RANK, d.outputs), "hada_w1_b": d(RANK, d.inputs), "hada_t1": d(RANK, RANK, *d.kernel),
            "hada_w2_a": d(RANK, d.outputs), "hada_w2_b": d(RANK, d.inputs), "hada_t2": d(RANK, RANK, *d.kernel),
            **_alpha(1.0)}


def lokr(d: Draw) -> Parts:
    # alpha means nothing where both halves are whole: LyCORIS stores the rank there
    return {"lokr_w1": d(2, 2), "lokr_w2": d(d.outputs // 2, d.inputs // 2, *d.kernel), **_alpha(7.0)}


def _lokr_w2_ab(d: Draw) -> Parts:
    return {"lokr_w1": d(2, 2), "lokr_w2_a": d(d.outputs // 2, RANK), "lokr_w2_b": d(RANK, d.inputs // 2 * d.area),
            **_alpha(1.5)}


def _lokr_w1_ab(d: Draw) -> Parts:
    parts = lokr(d) | {"lokr_w1_a": d(2, RANK), "lokr_w1_b": d(RANK, 2), **_alpha(1.5)}
    del parts["lokr_w1"]
    return parts


def _lokr_both(d: Draw) -> Parts:
    parts = _lokr_w2_ab(d) | {"lokr_w1_a": d(2, RANK), "lokr_w1_b": d(RANK, 2)}
    del parts["lokr_w1"]
    return parts


def _lokr_tucker(d: Draw) -> Parts:
    return {"lokr_w1": d(2, 2), "lokr_t2": d(RANK, RANK, *d.kernel), "lokr_w2_a": d(RANK, d.outputs // 2),
            "lokr_w2_b": d(RANK, d.inputs // 2), **_alpha(1.5)}


def glora(d: Draw) -> Parts:
    return {"a1.weight": d(d.inputs, RANK, *d.ones), "a2.weight": d(RANK, d.inputs, *d.ones),
            "b1.weight": d(d.outputs, RANK, *d.ones), "b2.weight": d(RANK, d.inputs, *d.kernel), **_alpha(1.5)}


def _glora_tucker(d: Draw) -> Parts:
    return glora(d) | {"b2.weight": d(RANK, d.inputs, 1, 1), "bm.weight": d(RANK, RANK, *d.kernel)}


def _glora_old(d: Draw) -> Parts:
    new = glora(d)
    return {"a1.weight": new["a2.weight"], "a2.weight": new["a1.weight"], "b1.weight": new["b2.weight"],
            "b2.weight": new["b1.weight"], "alpha": new["alpha"]}


def ia3(d: Draw) -> Parts:
    shape = (1, d.outputs, *d.ones) if d.kernel else (d.outputs,)
    return {"weight": d(*shape), "on_input": torch.tensor(0)}


def _ia3_in(d: Draw) -> Parts:
    shape = (1, d.inputs, *d.ones) if d.kernel else (d.inputs,)
    return {"weight": d(*shape), "on_input": torch.tensor(1)}


def oft(d: Draw) -> Parts:
    return {"oft_blocks": d(2, d.outputs // 2, d.outputs // 2), **_alpha(0.0)}


def _oft_constrained(d: Draw) -> Parts:
    return oft(d) | {"rescale": 1 + d(d.outputs, 1, *d.ones), **_alpha(0.05)}


def _boft(d: Draw) -> Parts:
    return {"oft_blocks": d(3, d.outputs // 2, 2, 2), "rescale": 1 + d(d.outputs, 1, *d.ones), **_alpha(0.0)}


def _oft_diag(d: Draw) -> Parts:
    """LyCORIS' first spelling: the orthogonal blocks themselves."""
    return {"oft_diag": torch.linalg.qr(d(2, d.outputs // 2, d.outputs // 2)).Q}


def _full(d: Draw) -> Parts:
    return {"diff": d(*d.weight.shape)}


def _full_b(d: Draw) -> Parts:
    return _full(d) | {"diff_b": d(d.outputs)}


def _only_b(d: Draw) -> Parts:
    return {"diff_b": d(d.outputs)}


KINDS: dict[str, Callable[[Draw], Parts]] = {
    "lora": lora, "lora_bias": _with_bias, "lora_sparse_bias": _with_sparse_bias, "lora_diff_b": _with_diff_b,
    "dora_out": _dora_out(lora), "dora_in": _dora_in(lora), "loha": loha, "loha_dora": _dora_out(loha), "lokr": lokr,
    "lokr_w2_ab": _lokr_w2_ab, "lokr_w1_ab": _lokr_w1_ab, "lokr_both": _lokr_both, "lokr_dora": _dora_in(_lokr_both),
    "glora": glora, "glora_old": _glora_old, "ia3": ia3, "ia3_in": _ia3_in, "oft": oft,
    "oft_constrained": _oft_constrained, "oft_diag": _oft_diag, "boft": _boft, "full": _full, "full_b": _full_b,
    "only_b": _only_b,
}
"""Kinds for every layer with a matrix or a kernel."""

OF_KERNELS: dict[str, Callable[[Draw], Parts]] = {
    "tucker": tucker, "tucker_dora": _dora_out(tucker), "loha_tucker": _loha_tucker, "lokr_tucker": _lokr_tucker,
    "glora_tucker": _glora_tucker,
}
"""Kinds for true convolutions only."""

NOT_MULTIPLES = ("dora_out", "dora_in", "loha_dora", "lokr_dora", "tucker_dora", "oft", "oft_constrained", "oft_diag",
                 "boft")
"""Kinds of which a part of the change is not of the same kind."""


def norms() -> list[Target]:
    """Returns a frozen LayerNorm and GroupNorm of 8 channels with weights of their own."""
    generator = torch.Generator().manual_seed(5)
    found: list[tuple[str, Any]] = [(LAYER_NORM, nn.LayerNorm(8)), (GROUP_NORM, nn.GroupNorm(2, 8))]
    for _, module in found:
        with torch.no_grad():
            module.weight.normal_(generator=generator)
            module.bias.normal_(generator=generator)
    return [Target(name, module.requires_grad_(False)) for name, module in found]


def norm_parts(seed: int = 0) -> Parts:
    generator = torch.Generator().manual_seed(seed)
    return {"w_norm": torch.randn(8, generator=generator), "b_norm": torch.randn(8, generator=generator)}


def draw(kind: str, target: Target, seed: int = 0) -> Parts:
    """Returns the tensors of a layer of this kind for a model's layer."""
    weight: Any = target.module.weight
    return (KINDS | OF_KERNELS)[kind](Draw(weight, seed))


def cases() -> list[tuple[str, Target]]:
    """Returns every kind with every layer that it can change."""
    found = {target.name: target for target in host_layers()}
    plain = [found[name] for name in (ATTENTION, PROJECTION, KERNEL, STRIDED, TEXT)]
    return [(kind, target) for kind in KINDS for target in plain] + [
        (kind, found[name]) for kind in OF_KERNELS for name in (KERNEL, STRIDED)]
