"""LoRA files for the tests of the algebra: of any kind, for any of the small layers, with a base that they fit.

What a file does is worked out in double precision, layer by layer, in the weight form of `lora.algorithms`: the sums
that the workbench writes are held against that.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lib_trainer.families import ldm
from lib_trainer.families.sd1 import SD1
from lib_trainer.host_model import Target
from lib_trainer.lora import file, keys, metadata
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.workbench import merge
from lib_trainer.workbench.merge import MergeOrder
from lib_trainer.workbench.operation import Outcome, finish
from lib_trainer.workbench.sources import Source
from tests.lora import kinds
from tests.lora.models import ATTENTION, KERNEL, PROJECTION, SHORTCUT, STRIDED, TEXT, layers

EXACT = 1e-6
"""What is promised: twice rounding to single precision (6e-8 of every factor) and room for sums of such products."""

RECORD = {"ss_base_model_version": "sd_v1", "ss_v2": "False", "modelspec.prediction_type": "epsilon",
          "ss_sd_model_name": "base.safetensors"}
MATRICES, KERNELS = (TEXT, ATTENTION, PROJECTION, SHORTCUT), (KERNEL, STRIDED)
TARGETS = {target.name: target for target in layers()}
_TEXT_ROOT = "cond_stage_model.transformer.text_model."


def targets(kind: str) -> list[Target]:
    """Returns the layers that a kind can change: norms, kernels, or all."""
    if kind == "norm":
        return kinds.norms()
    return [TARGETS[name] for name in (KERNELS if kind in kinds.OF_KERNELS else (*MATRICES, *KERNELS))]


def drawn(kind: str, seed: int = 0, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Returns the tensors of a LoRA of one kind."""
    chosen = [target for target in targets(kind) if names is None or target.name in names]
    return {f"{target.name}.{part}": tensor.contiguous() for number, target in enumerate(chosen)
            for part, tensor in (kinds.norm_parts(seed + number) if kind == "norm"
                                 else kinds.draw(kind, target, seed + number)).items()}


def plain(rank: int, alpha: float = 1.0, seed: int = 0, names: Iterable[str] = TARGETS,
          outputs: int = 0, inputs: int = 0) -> dict[str, Tensor]:
    """Returns a LoRA of any rank; sizes that are given stand in for those of the layers."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name in names:
        weight: Any = TARGETS[name].module.weight
        kernel = tuple(weight.shape[2:])
        found[f"{name}.lora_up.weight"] = torch.randn(
            outputs or weight.shape[0], rank, *(1 for _ in kernel), generator=generator)
        found[f"{name}.lora_down.weight"] = torch.randn(rank, inputs or weight.shape[1], *kernel, generator=generator)
        found[f"{name}.alpha"] = torch.tensor(alpha)
    return found


def written(path: Path, tensors: Mapping[str, Tensor], **more: str) -> Path:
    """Writes a LoRA file with a record and hashes."""
    record = RECORD | more
    file.save(path, tensors, record | metadata.hashes(tensors, record))
    return path


def base_file(folder: Path) -> Path:
    """Writes a checkpoint that has the small layers, and gives its path."""
    tensors = {}
    for target in layers():
        weight: Any = target.module.weight
        path = ldm.unet_path(target.name, SD1)
        tensors[f"model.diffusion_model.{path}.weight" if path else
                f"{_TEXT_ROOT}encoder.layers.0.mlp.fc1.weight"] = weight.detach().clone()
    path = folder / "base.safetensors"
    save_file(tensors, path)
    return path


def changes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Returns what a LoRA does to each layer: (weight's change, bias' change), float64, 0 where there is none."""
    weights: dict[str, Any] = {target.name: target.module.weight for target in (*layers(), *kinds.norms())}
    found = {}
    for layer, parts in keys.by_layer(tensors).items():
        weight = weights[keys.canonical(layer)].detach().double()
        change = registry.change(layer, layer_parts.read(parts).to_double(), weight)
        bias = torch.zeros(8, dtype=torch.float64) if change.bias is None else change.bias
        found[layer] = (torch.zeros_like(weight) if change.weight is None else change.weight, bias)
    return found


def summed(*terms: tuple[float, Mapping[str, Tensor]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Returns the true sum of LoRAs, each with its strength."""
    total: dict[str, tuple[Tensor, Tensor]] = {}
    for strength, tensors in terms:
        for layer, (weight, bias) in changes(tensors).items():
            before = total.get(layer, (torch.zeros_like(weight), torch.zeros_like(bias)))
            total[layer] = (before[0] + strength * weight, before[1] + strength * bias)
    return total


def error(found: Mapping[str, Tensor], true: Mapping[str, tuple[Tensor, Tensor]]) -> float:
    """Returns the greatest relative error of a layer (Frobenius); a layer that one of the two lacks counts as 0."""
    got = changes(found)
    worst = 0.0
    for layer in true.keys() | got.keys():
        for number in (0, 1):
            one = true[layer][number] if layer in true else torch.zeros_like(got[layer][number])
            other = got[layer][number] if layer in got else torch.zeros_like(one)
            size = float(one.norm())
            worst = max(worst, float((one - other).norm()) / (size or 1.0))
    return worst


def merged(out: Path, *sources: Source, **more: Any) -> tuple[dict[str, Tensor], Outcome]:
    """Adds files up; returns the tensors of the new file and what was told."""
    outcome = finish(merge.run(MergeOrder(sources, out, device="cpu", **more)))
    return file.load(out).tensors, outcome
