"""The mathematics of LoHa, LoKr, OFT and BOFT as the package lycoris-lora states them, with gradients.

Only its functional forms are used; its own way of joining a model (it replaces the forward of the model's modules and
keeps lists on classes) is not. Every function takes a layer's factors and returns the change before alpha / rank, as
`algorithms.registry` does for files; tests hold the two equal, gradients included.

Version 4 needs torch 2.4, and AUTOMATIC1111 has 2.1, so version 3.4 serves as well. Where it has faults that 4 has not
(the gradient of LoHa's Tucker form, the shape of OFT's rescale), the parts are taken that are right in both. Version 4
is run as plain torch: it would otherwise choose among compilers and kernels anew for every call, so that the same run
would not give the same numbers on two machines.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.lora.algorithms.parts import Parts

PACKAGE = "lycoris-lora==3.4.0"
"""What to install where it is missing: the last version that asks for nothing newer than torch 2.1."""


@cache
def functional(name: str) -> ModuleType:
    """Imports one of the package's functional modules: "loha", "lokr", "diag_oft", "boft" or "general".

    Raises:
        UserError: the package is not installed, or cannot start with this torch.
    """
    import importlib

    try:
        module = importlib.import_module(f"lycoris.functional.{name}")
        if name == "boft" and not hasattr(importlib.import_module("lycoris"), "list_builtin_presets"):
            raise ImportError("its BOFT is faulty before version 3.4")
        return module
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        raise UserError(
            f"This kind of network needs the package lycoris-lora, which cannot be used here ({error}). Install it "
            f"with 'pip install --no-deps {PACKAGE} einops toml' in the environment that runs this program (no other "
            "package is touched), or choose LoRA, GLoRA, (IA)^3 or a full difference, which need nothing."
        ) from error


def loha(parts: Parts, weight: Tensor) -> Tensor:
    """Returns (w1_a w1_b) * (w2_a w2_b), entry by entry; of Tucker cores, kernels."""
    w1_a, w1_b, w2_a, w2_b = (parts[f"hada_{part}"] for part in ("w1_a", "w1_b", "w2_a", "w2_b"))
    if "hada_t1" in parts.names:
        rebuilt = functional("general").rebuild_tucker
        return rebuilt(parts["hada_t1"], w1_a, w1_b) * rebuilt(parts["hada_t2"], w2_a, w2_b)
    one = torch.ones((), device=w1_a.device)
    return _diff_weight("loha")(w1_b, w1_a, w2_b, w2_a, None, None, gamma=one)


def lokr(parts: Parts, weight: Tensor) -> Tensor:
    """Returns kron(w1, w2), either half whole or of low rank."""
    factors = [parts.get(f"lokr_{part}") for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")]
    # It divides by what it takes for the rank, the second side of an outer factor (of a Tucker one that is none).
    outer = factors[1] if factors[1] is not None else factors[4]
    return _diff_weight("lokr")(*factors, gamma=1.0 if outer is None else float(outer.shape[1]))


def oft(parts: Parts, weight: Tensor) -> Tensor:
    """Returns R W - W, with `rescale` s R W - W; a butterfly of blocks (m, n, b, b) is BOFT."""
    blocks = _bounded(parts["oft_blocks"], (parts.alpha or 0.0) * weight.shape[0])
    form = _diff_weight("boft" if blocks.dim() == 4 else "diag_oft")
    change = form(weight.contiguous(), blocks, None).reshape(weight.shape)
    rescale = parts.get("rescale")
    return change if rescale is None else rescale * change + (rescale - 1.0) * weight


@cache
def _diff_weight(name: str) -> Callable[..., Tensor]:
    """Returns the package's weight form of a kind, run as plain torch."""
    form: Callable[..., Tensor] = functional(name).diff_weight
    if "backend" not in inspect.signature(form).parameters:
        return form
    return lambda *factors, **settings: form(*factors, **settings, backend="torch")


def _bounded(blocks: Tensor, bound: float) -> Tensor:
    """Shortens blocks whose skew part is longer than the bound.

    The package does so itself, but asks the device for the length and waits for the answer, once per layer.
    """
    if bound <= 0.0:
        return blocks
    length = (blocks - blocks.transpose(-1, -2)).norm() + 1e-8
    return blocks * (length.clamp(max=bound) / length)
