"""LoRA files of small numbers with the real names of every layer, for the tests of reading, naming and editing."""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from lib_trainer.lora import file, metadata
from lib_trainer.workbench import names
from tests.families import layer_tables

VERSIONS = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}
TABLES = {"sd1": "sd15", "sd2": "sd2", "sdxl": "sdxl"}
Q = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"


def layers(family: str, whole: bool = True) -> layer_tables.Shapes:
    """Returns the shapes of every layer of a family's LoRA files; `whole`: those of C3Lier as well."""
    table = layer_tables.read(TABLES[family], "lierla")
    return table | layer_tables.read(TABLES[family], "c3lier_adds") if whole else table


def lora(
    chosen: Mapping[str, tuple[list[int], list[int]]], rank: int = 2, alpha: float | None = 1.0,
    dtype: torch.dtype = torch.float16, seed: int = 0,
) -> dict[str, Tensor]:
    """Returns LoRA factors for layers, of 3 inputs and 4 outputs; kernels keep their size."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for layer, (down, up) in chosen.items():
        found[f"{layer}.lora_down.weight"] = torch.randn(rank, 3, *down[2:], generator=generator).to(dtype)
        found[f"{layer}.lora_up.weight"] = torch.randn(4, rank, *up[2:], generator=generator).to(dtype)
        if alpha is not None:
            found[f"{layer}.alpha"] = torch.tensor(alpha, dtype=dtype)
    return found


def small(names_of: Iterable[str] = (Q, TEXT), **more: object) -> dict[str, Tensor]:
    """Returns a LoRA of some matrix layers."""
    return lora({name: ([2, 3], [4, 2]) for name in names_of}, **more)  # type: ignore[arg-type]


def write(path: Path, tensors: Mapping[str, Tensor], family: str = "sd1", **record: str) -> Path:
    """Writes a file whose metadata tell the family and hold true hashes."""
    told = {"ss_base_model_version": VERSIONS[family], **record} if family else dict(record)
    told = {key: text for key, text in told.items() if not key.startswith("sshs_")}
    file.save(path, tensors, told | metadata.hashes(tensors, told))
    return path


def same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Whether two files' tensors are the same, names, shapes, dtypes and every bit."""
    return left.keys() == right.keys() and all(
        (tensor.shape, tensor.dtype) == (right[name].shape, right[name].dtype)
        and torch.equal(tensor.contiguous().view(torch.uint8) if tensor.dim() else tensor,
                        right[name].contiguous().view(torch.uint8) if tensor.dim() else right[name])
        for name, tensor in left.items())


def respelled(tensors: Mapping[str, Tensor], family: str, naming: str) -> dict[str, Tensor]:
    """Returns a LoRA's factors under another program's names, its alphas left out where it has none."""
    known, found = names.FAMILIES[family], {}
    parts = {names.PEFT: ("lora_A", "lora_B"), names.DIFFUSERS: ("lora.down", "lora.up")}
    for name, tensor in tensors.items():
        layer, _, part = name.partition(".")
        place = names.spelled(layer, known, naming)
        if naming in parts and part != "alpha":
            found[f"{place}.{parts[naming][part.startswith('lora_up')]}.weight"] = tensor
        elif naming not in parts:
            found[f"{place}.{part}"] = tensor
    return found
