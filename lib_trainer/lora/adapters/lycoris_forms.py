"""The mathematics of LoHa, LoKr, OFT and BOFT as the package lycoris-lora states them, with gradients.

Only its functional forms are used; its own way of joining a model (it replaces the forward of the model's modules and
keeps lists on classes) is not. They are run as plain torch: the package would otherwise choose among compilers and
kernels anew for every call, so that the same run would not give the same numbers on two machines. Every function takes
a layer's factors and returns the change before alpha / rank, as `algorithms.registry` does for files; tests hold the
two equal.
"""
from __future__ import annotations

from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora.algorithms.parts import Parts

PACKAGE = "lycoris-lora"

_BACKEND = "torch"


@cache
def functional(name: str) -> ModuleType:
    """Imports one of the package's functional modules: "loha", "lokr", "diag_oft", "boft" or "general".

    Raises:
        UserError: the package is not installed, or cannot start with this torch.
    """
    import importlib

    try:
        return importlib.import_module(f"lycoris.functional.{name}")
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise UserError(
            f"This kind of network needs the package '{PACKAGE}', which cannot be used here ({error}). Install it with "
            f"'pip install --no-deps {PACKAGE}==4.1.3 einops toml' in the WebUI's own environment (no other package is "
            "touched), or choose LoRA, GLoRA, (IA)^3 or a full difference, which need nothing."
        ) from error


def loha(parts: Parts, weight: Tensor) -> Tensor:
    """Returns (w1_a w1_b) * (w2_a w2_b), entry by entry; of Tucker cores, kernels."""
    factors = [parts.get(f"hada_{part}") for part in ("w1_b", "w1_a", "w2_b", "w2_a", "t1", "t2")]
    return functional("loha").diff_weight(*factors, gamma=torch.ones((), device=_device(parts)), backend=_BACKEND)


def lokr(parts: Parts, weight: Tensor) -> Tensor:
    """Returns kron(w1, w2), either half whole or of low rank."""
    factors = [parts.get(f"lokr_{part}") for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")]
    return functional("lokr").kron_weight(*factors, scale=1.0, backend=_BACKEND)


def oft(parts: Parts, weight: Tensor) -> Tensor:
    """Returns R W - W, with `rescale` s R W - W; a butterfly of blocks (m, n, b, b) is BOFT."""
    blocks = _bounded(parts["oft_blocks"], (parts.alpha or 0.0) * weight.shape[0])
    form = functional("boft" if blocks.dim() == 4 else "diag_oft")
    return form.diff_weight(weight.contiguous(), blocks, parts.get("rescale"), constraint=None, backend=_BACKEND)


def _bounded(blocks: Tensor, bound: float) -> Tensor:
    """Shortens blocks whose skew part is longer than the bound.

    The package does so itself, but asks the device for the length and waits for the answer, once per layer.
    """
    if bound <= 0.0:
        return blocks
    length = (blocks - blocks.transpose(-1, -2)).norm() + 1e-8
    return blocks * (length.clamp(max=bound) / length)


def _device(parts: Parts) -> torch.device:
    return next(iter(parts.tensors.values())).device
