"""What two checkpoints differ in, tensor by tensor, and how the LoRA that is made of it is described."""
from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from datetime import datetime

import torch
from torch import Tensor

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import checkpoint
from lib_trainer.lora import metadata as lora_metadata
from lib_trainer.lora.checkpoint_layers import Layer
from lib_trainer.workbench.operation import Progress
from lib_trainer.workbench.record import PREFIX


def difference(layer: str, base: Tensor, tuned: Tensor, device: torch.device) -> Tensor | None:
    """Returns tuned - base in float64, None where there is none but the rounding of the coarser dtype.

    Args:
        layer: name, for the sentence. base, tuned: of one shape but for ones at its end. device: where to compute.

    Raises:
        UserError: the two have different sizes, or one of them holds no numbers.
    """
    if base.numel() != tuned.numel() or base.shape[0] != tuned.shape[0]:
        raise UserError(f"The layer '{layer}' is {list(base.shape)} in one checkpoint and {list(tuned.shape)} in the "
                        "other: they are different kinds of model. Choose two checkpoints, one made from the other.")
    base = base.reshape(tuned.shape)
    if _same(base, tuned):
        return None
    change = tuned.to(device, torch.float64) - base.to(device, torch.float64)
    if not bool(change.isfinite().all()):
        raise UserError(f"The layer '{layer}' has entries in one of the checkpoints that are infinite or no numbers: "
                        "that checkpoint is damaged, and draws nothing. Use an intact copy.")
    return change


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal, or become equal when one is rounded to the other's dtype."""
    return _equal(one.to(other.dtype), other) or (one.dtype != other.dtype and _equal(one, other.to(one.dtype)))


def _equal(one: Tensor, other: Tensor) -> bool:
    """Compares two tensors of one dtype; torch cannot compare numbers of 8 bits."""
    if one.is_floating_point() and one.element_size() == 1:
        one, other = one.float(), other.float()
    return torch.equal(one, other)


def beyond(
    base: checkpoint.Tensors, tuned: checkpoint.Tensors, layers: Mapping[str, tuple[Layer, Layer]],
    chosen: Collection[str],
) -> Generator[Progress, None, list[str]]:
    """Returns the names of tensors that differ and are not in the LoRA; those that only one checkpoint has are not
    compared.

    Args:
        base, tuned: the open checkpoints. layers: of both. chosen: those that are extracted.
    """
    inside = {layers[layer][1].weight.key for layer in chosen}
    others = [name for name in tuned.entries if name in base.entries and name not in inside]
    found = []
    for done, name in enumerate(others):
        yield Progress(done, len(others), "Comparing what no LoRA holds")
        before, after = base.read(name), tuned.read(name)
        if before.shape != after.shape or not _same(before, after):
            found.append(name)
    return found


def metadata(base: str, tuned: str, name: str, family: Family, said: Mapping[str, str]) -> dict[str, str]:
    """Returns the record of the LoRA, without ranks and hashes.

    Args:
        base, tuned, name: names of the checkpoints and of the LoRA, without endings.
        family: of all. said: the checkpoints' own metadata.
    """
    prediction = said.get("modelspec.prediction_type", "")
    is_v = prediction.startswith("v")
    version = (is_v and family.base_version_v) or family.base_version
    record = {
        "ss_output_name": name, "ss_sd_model_name": base, "ss_base_model_version": version,
        "ss_v2": str(family.name == "sd2"), "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": (is_v and family.modelspec_v) or family.modelspec,
        "modelspec.implementation": family.implementation, "modelspec.title": name,
        "modelspec.date": datetime.now().replace(microsecond=0).isoformat(),
        "modelspec.implementation_version": lora_metadata.IMPLEMENTATION,
        f"{PREFIX}base": base, f"{PREFIX}tuned": tuned, f"{PREFIX}implementation": lora_metadata.IMPLEMENTATION,
    }
    return record | ({"modelspec.prediction_type": prediction} if prediction else {})
