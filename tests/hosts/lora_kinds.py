"""Random LoRAs of every kind for a checkpoint of any family, as LyCORIS, kohya and the WebUIs write them.

`state(kind, checkpoint, seed)` gives the tensors; `python -m tests.hosts.lora_kinds CHECKPOINT FOLDER` writes one file
a kind. The tensors are strong enough that every kind changes a picture visibly.
"""
from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.lora import checkpoint_layers

UNET = checkpoint_layers.UNET
RANK = 4
Parts = dict[str, Tensor]


class Draw:
    """Random tensors of a seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, std: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=self._generator) * std


def family_of(checkpoint: Path) -> Family:
    """Returns the family of a checkpoint."""
    with safe_open(checkpoint, "pt") as file:
        return checkpoint_layers.family_of(file.keys(), checkpoint.name)


def layers(checkpoint: Path, text: bool = True) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Returns weight and bias, as stored, of every layer that has a kohya name, by that name.

    Of a text encoder these are the layers that its family adapts.
    """
    tensors = load_file(checkpoint)
    family = checkpoint_layers.family_of(tensors, checkpoint.name)
    found: dict[str, tuple[Tensor, Tensor | None]] = {}
    for key, weight in tensors.items():
        path, ending = _module(key)
        for name, rows in _named(path, family) if ending else ():
            if text or not family.is_text_layer(name):
                bias = tensors.get(path + ending.replace("weight", "bias"))
                found[name] = (weight, bias) if rows is None else (
                    weight[rows(weight.shape[0])], None if bias is None else bias[rows(bias.shape[0])])
    return dict(sorted(found.items()))


def _module(key: str) -> tuple[str, str]:
    """Returns a weight's module and what its name ends in, ("", "") of any other tensor."""
    for ending in (".in_proj_weight", ".weight"):
        if key.endswith(ending):
            return key.removesuffix(ending), ending
    return "", ""


def _named(path: str, family: Family) -> Iterator[tuple[str, Callable[[int], slice | None] | None]]:
    """Yields the layers in a module, each with the function that gives its rows where it is a third."""
    if path.startswith(UNET) and (name := ldm.unet_layer(path.removeprefix(UNET), family)):
        yield name, None
    for prefix, _, root in checkpoint_layers.TEXT[family.name]:
        if path.startswith(root):
            for name, place in ldm.text_layers(path.removeprefix(root), prefix).items():
                if family.is_text_layer(name):
                    yield name, None if place.third is None else place.rows


def _size(weight: Tensor) -> tuple[int, int, tuple[int, ...]]:
    return weight.shape[0], weight.shape[1], tuple(weight.shape[2:])


def _lora(draw: Draw, weight: Tensor, strength: float) -> Parts:
    outputs, inputs, kernel = _size(weight)
    fan = inputs * math.prod(kernel)
    return {
        "lora_down.weight": draw(RANK, inputs, *kernel, std=fan**-0.5),
        "lora_up.weight": draw(outputs, RANK, *(1 for _ in kernel), std=strength),
        "alpha": torch.tensor(float(RANK)),
    }


def _tucker(draw: Draw, weight: Tensor, strength: float) -> Parts:
    outputs, inputs, kernel = _size(weight)
    if math.prod(kernel) == 1:
        return _lora(draw, weight, strength)
    return {
        "lora_down.weight": draw(RANK, inputs, 1, 1, std=inputs**-0.5),
        "lora_mid.weight": draw(RANK, RANK, *kernel, std=(RANK * 9) ** -0.5),
        "lora_up.weight": draw(outputs, RANK, 1, 1, std=strength),
        "alpha": torch.tensor(float(RANK)),
    }


def _dora(draw: Draw, weight: Tensor, strength: float) -> Parts:
    norm = weight.float().transpose(0, 1).reshape(weight.shape[1], -1).norm(dim=1)
    scale = norm * (1 + draw(len(norm), std=0.5 * strength).abs())
    return _lora(draw, weight, strength) | {"dora_scale": scale.reshape(1, -1, *(1 for _ in weight.shape[2:]))}


def _loha(draw: Draw, weight: Tensor, strength: float) -> Parts:
    outputs, inputs, kernel = _size(weight)
    fan = inputs * math.prod(kernel)
    return {
        "hada_w1_a": draw(outputs, RANK, std=strength), "hada_w1_b": draw(RANK, fan, std=RANK**-0.5),
        "hada_w2_a": draw(outputs, RANK, std=1.0), "hada_w2_b": draw(RANK, fan, std=fan**-0.5),
        "alpha": torch.tensor(float(RANK)),
    }


def _lokr(draw: Draw, weight: Tensor, strength: float) -> Parts:
    outputs, inputs, kernel = _size(weight)
    fan = inputs * math.prod(kernel)
    return {
        "lokr_w1": draw(4, 4, std=strength),
        "lokr_w2": draw(outputs // 4, inputs // 4, *kernel, std=fan**-0.5), "alpha": torch.tensor(float(RANK)),
    }


def _lokr_ab(draw: Draw, weight: Tensor, strength: float) -> Parts:
    parts = _lokr(draw, weight, strength)
    parts["lokr_w1_a"], parts["lokr_w1_b"] = draw(4, 2, std=strength), draw(2, 4)
    del parts["lokr_w1"]
    return parts


def _diff(draw: Draw, weight: Tensor, strength: float) -> Parts:
    return {"diff": draw(*weight.shape, std=strength * weight[0].numel() ** -0.5)}


def _glora(draw: Draw, weight: Tensor, strength: float) -> Parts:
    """GLoRA (Chavan et al. 2023): W + W A + B, with A and B of low rank."""
    outputs, inputs, _ = _size(weight)
    return {
        "a1.weight": draw(inputs, RANK, std=strength), "a2.weight": draw(RANK, inputs, std=inputs**-0.5),
        "b1.weight": draw(outputs, RANK, std=strength), "b2.weight": draw(RANK, inputs, std=inputs**-0.5),
        "alpha": torch.tensor(float(RANK)),
    }


def _old_glora(draw: Draw, weight: Tensor, strength: float) -> Parts:
    """The same with the factors the other way about, as LyCORIS wrote them first; AUTOMATIC1111 reads only this."""
    parts = _glora(draw, weight, strength)
    order = {"a1": "a2", "a2": "a1", "b1": "b2", "b2": "b1"}
    return {f"{new}.weight": parts[f"{old}.weight"] for old, new in order.items()} | {"alpha": parts["alpha"]}


def _ia3(draw: Draw, weight: Tensor, strength: float) -> Parts:
    return {"weight": draw(weight.shape[0], 1, *(1 for _ in weight.shape[2:]), std=strength),
            "on_input": torch.tensor(False)}


def _oft(draw: Draw, weight: Tensor, strength: float) -> Parts:
    size = 4
    return {"oft_blocks": draw(weight.shape[0] // size, size, size, std=strength), "alpha": torch.tensor(1.0)}


KINDS: dict[str, Callable[[Draw, Tensor, float], Parts]] = {
    "lora": _lora, "locon": _lora, "tucker": _tucker, "dora": _dora, "loha": _loha, "lokr": _lokr, "lokr_ab": _lokr_ab,
    "diff": _diff, "glora": _glora, "glora_old": _old_glora, "ia3": _ia3, "oft": _oft,
}
"""What a layer's tensors are, by kind; "lora" leaves the convolutions out."""

OTHERS = ("diff_b", "norms", "unet_only", "unblocked", "bundled")
"""Further files: biases, norm layers, no text encoder, layers that are in no block, an embedding that travels along."""

_STRENGTHS = {"tucker": 0.5, "loha": 0.3, "lokr": 0.5, "ia3": 0.2, "oft": 0.2, "diff": 0.5, "diff_b": 0.5}
_OF_LINEAR_ONLY = ("lora", "dora", "glora", "glora_old", "ia3", "oft", "unet_only", "bundled")


def state(kind: str, checkpoint: Path, seed: int = 1, strength: float = 0.0) -> dict[str, Tensor]:
    """Returns the tensors of a random LoRA.

    Args:
        kind: a name of `KINDS` or `OTHERS`.
        checkpoint: a file of any family and width, whose layers are adapted.
        seed: of all tensors.
        strength: how far layers are changed, 0 = a fitting one.
    """
    draw = Draw(seed)
    strength = strength or _STRENGTHS.get(kind, 0.15)
    tensors: dict[str, Tensor] = {}
    family = family_of(checkpoint)
    for name, (weight, bias) in layers(checkpoint, kind != "unet_only").items():
        for part, tensor in _parts(kind, draw, family, name, weight, bias, strength).items():
            tensors[f"{name}.{part}"] = tensor.contiguous()
    if kind == "bundled":
        width = next(w.shape[1] for n, (w, _) in layers(checkpoint).items() if n.startswith("lora_te_"))
        tensors["bundle_emb.zzbundle.string_to_param.*"] = draw(2, width)
    return tensors


def _parts(
    kind: str, draw: Draw, family: Family, name: str, weight: Tensor, bias: Tensor | None, strength: float
) -> Parts:
    if weight.dim() == 1:
        if kind != "norms" or bias is None:
            return {}
        return {"w_norm": draw(*weight.shape, std=0.3), "b_norm": draw(*weight.shape, std=0.3)}
    is_block = family.is_attention_layer(name) or family.is_text_layer(name)
    is_conv = family.is_conv_layer(name)
    if kind == "unblocked":
        return _lora(draw, weight, strength) if not (is_block or is_conv) else {}
    if kind == "norms" or not (is_block or (is_conv and kind not in _OF_LINEAR_ONLY)):
        return {}
    if kind == "diff_b":
        return _diff(draw, weight, strength) | ({} if bias is None else {"diff_b": draw(*bias.shape, std=0.2)})
    return KINDS["lora" if kind in ("unet_only", "bundled") else kind](draw, weight, strength)


def write(kind: str, checkpoint: Path, path: Path, seed: int = 1) -> None:
    """Writes a random LoRA with the header that the WebUIs read the family from."""
    metadata = {"ss_base_model_version": family_of(checkpoint).base_version, "ss_output_name": path.stem,
                "ss_tag_frequency": json.dumps({})}
    save_file({key: tensor.half() for key, tensor in state(kind, checkpoint, seed).items()}, path, metadata)


def main() -> None:
    """Writes one file of every kind."""
    checkpoint, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, kind in enumerate([*KINDS, *OTHERS], start=1):
        write(kind, checkpoint, folder / f"k_{kind}.safetensors", seed)


if __name__ == "__main__":
    main()
