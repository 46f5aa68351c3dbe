"""The weights of a base checkpoint by kohya's layer names, read from its file one at a time.

A `.safetensors` file is read where it lies on the disk; a `.ckpt` is opened with torch's weights-only reader, which
runs no code. Nothing is loaded that is not asked for.
"""
from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.families import ldm
from lib_trainer.families.family import Family
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sd2 import SD2
from lib_trainer.families.sdxl import SDXL

FAMILIES = {family.name: family for family in (SD1, SD2, SDXL)}

_UNET = "model.diffusion_model."
_TEXT: dict[str, tuple[tuple[str, str, str], ...]] = {
    "sd1": (("lora_te", ldm.HF, "cond_stage_model.transformer."),),
    "sd2": (("lora_te", ldm.OPEN_CLIP, "cond_stage_model.model."),),
    "sdxl": (("lora_te1", ldm.HF, "conditioner.embedders.0.transformer."),
             ("lora_te2", ldm.OPEN_CLIP, "conditioner.embedders.1.model.")),
}
"""Family -> (kohya prefix, build, where it is in the file) of each text encoder."""


@contextmanager
def opened(path: Path, family: str) -> Iterator[Callable[[str], Tensor]]:
    """Yields a function from kohya layer names to weights (CPU, as stored), valid while open.

    Args:
        path: a checkpoint in the original layout, `.safetensors` or `.ckpt`.
        family: "sd1", "sd2" or "sdxl": that of the LoRA.

    Raises:
        UserError: the file is missing, damaged or of another kind; the function raises it for a layer it lacks.
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint file '{path}'. Give the path of a .safetensors or .ckpt file.")
    if path.suffix.lower() == ".safetensors":
        with _safetensors(path) as tensor:
            yield _by_layer(path, FAMILIES[family], tensor)
    else:
        yield _by_layer(path, FAMILIES[family], _pickled(path))


def _by_layer(
    path: Path, family: Family, tensor: Callable[[str], Tensor | None]
) -> Callable[[str], Tensor]:
    def weight(layer: str) -> Tensor:
        for key, third in _places(layer, family):
            found = tensor(key)
            if found is not None:
                rows = found.shape[0] // 3
                return found if third is None else found[third * rows:(third + 1) * rows]
        raise UserError(f"The checkpoint '{path.name}' has no layer '{layer}': it is no {family.label} checkpoint, or "
                        "not a whole one. Choose the one that the LoRA was trained on.")

    return weight


def _places(layer: str, family: Family) -> Iterator[tuple[str, int | None]]:
    """Yields where a layer's weight may be: tensor name, and which third of it; None = all."""
    path = ldm.unet_path(layer, family)
    if path:
        yield f"{_UNET}{path}.weight", None
    for prefix, build, root in _TEXT[family.name]:
        place = ldm.text_place(layer, prefix, build)
        if place and place.third is not None:
            yield f"{root}{place.path}.in_proj_weight", place.third
        elif place:
            yield f"{root}{place.path}.weight", None
            yield f"{root}{place.path.removeprefix('text_model.')}.weight", None  # as some old files have it


@contextmanager
def _safetensors(path: Path) -> Iterator[Callable[[str], Tensor | None]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            names = set(file.keys())
            yield lambda name: file.get_tensor(name) if name in names else None
    except (SafetensorError, OSError) as error:
        raise UserError(f"'{path}' is damaged or no safetensors file ({error}). Download or copy it again.") from error


def _pickled(path: Path) -> Callable[[str], Tensor | None]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read as weights alone ({str(error)[:200]}). "
                        "Use the .safetensors version of this checkpoint.") from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    return lambda name: found if isinstance(found := tensors.get(name), torch.Tensor) else None
