"""Reads a LoRA file that anybody may have made: nothing is allocated before it is known to be true, nothing is lost.

Whatever names the file uses (`workbench.names`), its layers come out under kohya's. What belongs to no layer, or is of
a kind that nobody here knows, is carried beside them under its own name, to be written again untouched. What cannot be
right (a header that lies, factors that do not fit) is refused, every fault at once.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_trainer.errors import Problems, UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import keys
from lib_trainer.lora.algorithms import parts as layer_parts
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.bake import NOT_LAYERS
from lib_trainer.lora.tensor_reader import TensorReader
from lib_trainer.workbench import consistency, names, peft_scales, pickled

if TYPE_CHECKING:
    from torch import Tensor

Shape = tuple[int, ...]

_PICKLE = "'{}' is a pickle: only its weights were read, and no code in it was run. Prefer .safetensors files."

_SHOWN = 12
"""Faults that are told in full."""


@dataclass(frozen=True)
class ReadLora:
    """A LoRA in memory.

    Attributes:
        path: where it was read.
        tensors: "layer.part" -> tensor (CPU, as stored); kohya's names as sd-scripts writes them for the family. All
            of them belong to layers of known kinds.
        metadata: text by text; none in a pickle.
        family: "sd1", "sd2", "sdxl"; None = nothing tells.
        carried: what belongs to no layer or is of an unknown kind, under the file's own names.
        notes: sentences for the person (about `carried`: `carried_notes`).
        naming: whose names the file has (`workbench.names`).
        spoken: "layer.part" -> the file's own name of the tensor.
        model_hash: SHA-256 (hex) of the tensor area that was read, whatever the metadata say of it; "" = not asked for,
            or a pickle.
    """

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    family: str | None
    carried: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    naming: str = names.KOHYA
    spoken: dict[str, str] = field(default_factory=dict)
    model_hash: str = ""


@dataclass(frozen=True)
class AsStored:
    """A file's tensors under its own names (CPU), its metadata, and what is to be said about it."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Stored:
    """A file that is open: what its tensors are called and how they come."""

    shapes: Mapping[str, Shape]
    metadata: dict[str, str]
    read: Callable[[str], Tensor]


def read(path: Path, family: str = "", hashed: bool = False) -> ReadLora:
    """Reads a LoRA file.

    Args:
        path: .safetensors, or a pickle of weights (.pt, .ckpt, .bin, .pth).
        family: "sd1", "sd2" or "sdxl" where the person knows; "" = as the file tells.
        hashed: whether `model_hash` is wanted, for a record of what was used.

    Raises:
        UserError: it is missing, damaged, no LoRA, or claims what cannot be.
    """
    if family and family not in names.FAMILIES:
        raise UserError(f"There is no family '{family}': choose one of {', '.join(names.FAMILIES)}.")
    if path.suffix.lower() in pickled.ENDINGS:
        tensors = pickled.read(path)
        stored = _Stored({name: tuple(tensor.shape) for name, tensor in tensors.items()}, {}, tensors.__getitem__)
        return _read(path, stored, family, [_PICKLE.format(path.name)])
    with TensorReader(path) as reader:
        shapes = {name: shape for name, (_, shape) in reader.entries.items()}
        lora = _read(path, _Stored(shapes, dict(reader.metadata), reader.read), family, [])
        return replace(lora, model_hash=reader.tensor_hash()) if hashed else lora


def as_stored(path: Path) -> AsStored:
    """Reads a file's tensors under its own names.

    Raises:
        UserError: it is missing or damaged.
    """
    if path.suffix.lower() in pickled.ENDINGS:
        return AsStored(pickled.read(path), {}, [_PICKLE.format(path.name)])
    with TensorReader(path) as reader:
        return AsStored({name: reader.read(name) for name in reader.names}, dict(reader.metadata))


def naming(path: Path) -> str:
    """Returns whose names the layers of a `.safetensors` file have (`workbench.names`), from its header alone.

    Raises:
        UserError: it is missing or damaged.
    """
    with TensorReader(path) as reader:
        shapes = {name: shape for name, (_, shape) in reader.entries.items()}
        metadata = dict(reader.metadata)
    spoken = {name: names.understood(name) for name in shapes}
    return _naming(list(spoken.values()), names.FAMILIES.get(_family(shapes, spoken, metadata) or ""))


def _read(path: Path, stored: _Stored, family: str, notes: list[str]) -> ReadLora:
    spoken = {name: names.understood(name) for name in stored.shapes}
    told = family or _family(stored.shapes, spoken, stored.metadata)
    named = _named(path, spoken, names.FAMILIES.get(told or ""))
    layers = _known(named, stored.shapes)
    _refuse(path, consistency.faults(layers))
    if not layers:
        raise UserError(f"'{path}' has no layer of a LoRA: none of its {len(stored.shapes)} tensors has a name of that "
                        f"kind{_such_as(stored.shapes)}. Choose a LoRA file.")
    by_name = {f"{layer}.{part}": named[(layer, part)] for layer, parts in layers.items() for part in parts}
    tensors = {name: stored.read(own) for name, own in by_name.items()}
    carried = {name: stored.read(name) for name in stored.shapes if name not in set(by_name.values())}
    _refuse(path, consistency.sparse_faults(keys.by_layer(tensors)))
    _shape_lengths(tensors, by_name)
    notes += _scale(path, stored.metadata, tensors, {name: spoken[own] for name, own in by_name.items()})
    naming = _naming(list(spoken.values()), names.FAMILIES.get(told or ""))
    notes += _notes(spoken, told)
    return ReadLora(path, tensors, stored.metadata, told, carried, notes, naming, by_name)


def _family(
    shapes: Mapping[str, Shape], spoken: Mapping[str, names.Spoken | None], metadata: Mapping[str, str]
) -> str | None:
    """Returns the family by what the file says, under kohya's names as near as they are without knowing it."""
    near = {f"{layer}.{said.part}": shapes[name] for name, said in spoken.items()
            if said and (layer := names.kohya_layer(said, None))}
    return keys.family(near, metadata)


def _named(
    path: Path, spoken: Mapping[str, names.Spoken | None], family: Family | None
) -> dict[tuple[str, str], str]:
    """Returns (kohya layer, part) -> the file's own name.

    Raises:
        UserError: two tensors are the same part of the same layer.
    """
    named: dict[tuple[str, str], str] = {}
    twice = []
    for name, said in spoken.items():
        layer = names.kohya_layer(said, family) if said else None
        if said is None or layer is None:
            continue
        if (layer, said.part) in named:
            twice.append(f"'{named[(layer, said.part)]}' and '{name}' are the same part of the same layer")
        named[(layer, said.part)] = name
    _refuse(path, twice)
    return named


def _known(named: Mapping[tuple[str, str], str], shapes: Mapping[str, Shape]) -> dict[str, dict[str, Shape]]:
    """Returns the shapes by layer and part of what is of a known kind."""
    layers: dict[str, dict[str, Shape]] = {}
    for (layer, part), name in named.items():
        if layer not in NOT_LAYERS:
            layers.setdefault(layer, {})[part] = shapes[name]
    return {layer: kept for layer, parts in layers.items()
            if registry.acts(parts) and (kept := _without_unknown(parts))}


def _without_unknown(parts: dict[str, Shape]) -> dict[str, Shape]:
    """Leaves out what nobody reads; half a LoRA stays, to be told as a fault."""
    unknown = set(registry.unknown(parts)) - set(registry.HALF_OF_LORA)
    return {part: shape for part, shape in parts.items() if part not in unknown}


def _refuse(path: Path, faults: list[str]) -> None:
    """Tells all faults at once.

    Raises:
        UserError: there are some.
    """
    if not faults:
        return
    rest = [f"... and {len(faults) - _SHOWN} more like these."] if len(faults) > _SHOWN else []
    raise Problems([f"'{path}' is damaged, and nothing of it is used. Use an intact copy.", *faults[:_SHOWN], *rest])


def _shape_lengths(tensors: dict[str, Tensor], own_names: Mapping[str, str]) -> None:
    """Gives PEFT's DoRA lengths, (outputs) or (1, outputs, 1, 1), the shape of kohya's: (outputs, 1[, 1, 1])."""
    for name, own in own_names.items():
        down = tensors.get(f"{keys.split(name)[0]}.{keys.DOWN}")
        if names.MAGNITUDE in own and down is not None:
            tensors[name] = tensors[name].reshape(-1, *(1,) * (down.dim() - 1))


def _scale(
    path: Path, metadata: Mapping[str, str], tensors: dict[str, Tensor], spoken: Mapping[str, names.Spoken | None]
) -> list[str]:
    """Adds the alphas that PEFT keeps elsewhere; returns what is to be said about it."""
    import torch

    bare = {layer: parts for layer, parts in keys.by_layer(tensors).items()
            if keys.DOWN in parts and keys.ALPHA not in parts
            and (said := spoken[f"{layer}.{keys.DOWN}"]) is not None and said.naming in (names.PEFT, names.DIFFUSERS)}
    config = peft_scales.found(path, metadata) if bare else None
    for layer, parts in bare.items():
        said, rank = spoken[f"{layer}.{keys.DOWN}"], parts[keys.DOWN].shape[0]
        alpha = peft_scales.alpha(config, said.network, said.place, rank) if config and said else None
        if alpha is not None:
            tensors[f"{layer}.{layer_parts.ALPHA}"] = torch.tensor(alpha)
    ranks = {parts[keys.DOWN].shape[0] for parts in bare.values()}
    if config is None and len(ranks) > 1:
        return [f"The layers have ranks from {min(ranks)} to {max(ranks)} and the file has no alphas: every layer is "
                "taken at the strength of its tensors."]
    return []


def _naming(spoken: list[names.Spoken | None], family: Family | None) -> str:
    """Returns whose names most layers have."""
    counted = Counter(
        names.variant(said.place, family) if said.naming == names.KOHYA and said.place.startswith("lora_unet_")
        else said.naming for said in spoken if said is not None and said.place not in NOT_LAYERS)
    # The spelling of the U-Net tells kohya's variants apart; text encoders have one name in all of them.
    for naming in (names.KOHYA_LDM, names.KOHYA_DIFFUSERS):
        if naming in counted:
            return naming
    return counted.most_common(1)[0][0] if counted else names.KOHYA


def carried_notes(lora: ReadLora) -> list[str]:
    """Returns what is to be said about the tensors that are carried over untouched."""
    embeddings = [name for name in lora.carried if name.startswith(NOT_LAYERS)]
    unknown = [name for name in lora.carried if name not in embeddings]
    notes = []
    if embeddings:
        notes.append(f"{len(embeddings)} tensors of embeddings travel with this LoRA and are carried over untouched.")
    if unknown:
        notes.append(f"{len(unknown)} tensors are of a kind that is not known here, such as '{unknown[0]}': they are "
                     "carried over untouched, and nothing is worked out with them.")
    return notes


def _notes(spoken: Mapping[str, names.Spoken | None], family: str | None) -> list[str]:
    notes = []
    if len(kinds := {said.naming for said in spoken.values() if said is not None}) > 1:
        notes.append(f"The file mixes the names of several programs ({', '.join(sorted(kinds))}).")
    if family is None:
        notes.append("Nothing in the file tells whether it is for SD 1.x, SD 2.x or SDXL.")
    return notes


def _such_as(shapes: Mapping[str, Shape]) -> str:
    return f" (such as '{next(iter(shapes))}')" if shapes else ""
