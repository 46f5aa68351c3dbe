"""From a LoRA file and a tag to a new LoRA file: what `bake` computes, with a record of where it comes from.

The metadata of the source are carried over, so sites and WebUIs show what they showed; name, date and hashes are the
new file's own, and the `block_weight.*` fields say which file it was made from, by which tag, and the numbers.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lib_trainer.blocks import tags
from lib_trainer.blocks.elements import NO_ELEMENTS, Elements
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.rules import inline
from lib_trainer.blocks.windows import ALWAYS
from lib_trainer.errors import Lacking, UserError
from lib_trainer.lora import base_weights, file, keys, metadata, whole
from lib_trainer.lora.bake import Baked, at_once, layer_by_layer, layers_of

PREFIX = "block_weight."
"""Beginning of the metadata keys that are ours."""


@dataclass(frozen=True)
class Order:
    """What is to be baked.

    Attributes:
        source: the LoRA file.
        weights: a whole tag, or what stands in one after the name: "0.8:lbw=NCNF"; "" = strength 1.
        presets, elements: what names in it mean.
        te, unet: strengths in the place of the tag's; None = the tag's.
        arch: "sd15" or "sdxl"; "" = as the file tells.
        seed: from which R and U are drawn.
        base: the base checkpoint, for kinds that need its weights; None = none at hand.
    """

    source: Path
    weights: str
    presets: Presets
    elements: Elements = NO_ELEMENTS
    te: float | None = None
    unet: float | None = None
    arch: str = ""
    seed: int = 0
    base: Path | None = None


@dataclass(frozen=True)
class Result:
    """What was written.

    Attributes:
        path: the new file. bytes: its size. baked: what became of the layers. notes: sentences for the person.
    """

    path: Path
    bytes: int
    baked: Baked
    notes: list[str]

    def to_json(self) -> dict[str, object]:
        """Returns the numbers of the result, ready for JSON."""
        counts = {kind: len(getattr(self.baked, kind)) for kind in ("untouched", "scaled", "dropped", "rewritten")}
        return {"file": str(self.path), "bytes": self.bytes, "layers": self.baked.kept, **counts, "notes": self.notes}

    def in_words(self) -> str:
        """Returns the result as a sentence."""
        told = self.baked
        kinds = (("as they were", told.untouched), ("scaled", told.scaled), ("as full differences", told.rewritten))
        changed = [f"{len(layers)} {what}" for what, layers in kinds if layers]
        left = f"; {len(told.dropped)} at 0 left out" if told.dropped else ""
        return f"{self.path.name}: {self.bytes / 1e6:.1f} MB, {told.kept} layers ({', '.join(changed)}){left}."


def write(order: Order, out: Path) -> Result:
    """Bakes a LoRA into a new file at once; as `writing`."""
    return at_once(writing(order, out))


def writing(order: Order, out: Path) -> Generator[tuple[int, int], None, Result]:
    """Bakes a LoRA into a new file; yields (layers done, of how many). Closed on the way it leaves nothing behind.

    Raises:
        UserError: the tag cannot be understood, a layer cannot be written so, or the file cannot be.
    """
    if out.exists():
        raise whole.taken(out)
    source = file.load(order.source)
    shapes = {name: tuple(tensor.shape) for name, tensor in source.tensors.items()}
    family = keys.family(shapes, source.metadata)
    arch = order.arch or keys.ARCH_BY_FAMILY.get(family or "", "")
    if not arch:
        raise Lacking("arch", [f"'{order.source.name}' does not tell which kind of model it is for. Name the "
                               "architecture."])
    weights = _resolved(order, arch)
    factors = multipliers(weights, layers_of(source.tensors), arch)
    with ExitStack() as stack:
        base = stack.enter_context(base_weights.opened(order.base, family or _FAMILY[arch])) if order.base else None
        baked = yield from layer_by_layer(source.tensors, factors, base)
    record = _metadata(source, order, weights, baked, out)
    record |= metadata.hashes(baked.tensors, record)
    if "modelspec.hash_sha256" in record:
        record["modelspec.hash_sha256"] = f"0x{record['sshs_model_hash']}"
    file.save(out, baked.tensors, record)
    return Result(out, out.stat().st_size, baked, _notes(weights, baked))


_FAMILY = {"sd15": "sd1", "sdxl": "sdxl"}
"""The family to assume where only the architecture is known."""


def _resolved(order: Order, arch: str) -> Weights:
    """Reads the tag and the strengths; nothing is baked that is not what was asked for.

    Raises:
        UserError: it cannot be read, or is not one LoRA tag.
    """
    text = order.weights.strip()
    if not text.startswith("<"):
        text = f"<lora:{order.source.stem}{f':{text}' if text else ''}>"
    rest, found = tags.split(text)
    if len(found) != 1 or rest.strip():
        raise UserError(f"'{order.weights}' is not one LoRA tag: write <lora:name:1:lbw=NCNF>, or only what comes "
                        "after the name, such as 1:lbw=NCNF.")
    weights = resolve(found[0], order.presets, arch, order.elements, order.seed)
    if weights.errors:
        # A picture would be drawn in spite of the mistake, and be told how; a file is not written.
        told = [error.partition(f" LoRA '{found[0].name}' acts with plain strength")[0] for error in weights.errors]
        raise UserError(f"{' '.join(told)} Nothing was written.")
    te, unet = (weights.te if order.te is None else order.te), (weights.unet if order.unet is None else order.unet)
    return replace(weights, te=te, unet=unet)


def _metadata(
    source: file.LoraFile, order: Order, weights: Weights, baked: Baked, out: Path
) -> dict[str, str]:
    """Returns the source's record with the new file's name, and ours of how it was made."""
    record = {key: text for key, text in source.metadata.items() if not key.startswith("sshs_")}
    if "ss_output_name" in record:
        record["ss_output_name"] = out.stem
    if any(key.startswith("modelspec.") for key in record):
        record["modelspec.merged_from"] = source.metadata.get("modelspec.title", order.source.stem)
        record["modelspec.title"] = out.stem
        record["modelspec.date"] = datetime.now().replace(microsecond=0).isoformat()
    return record | {f"{PREFIX}{key}": text for key, text in _record(source, order, weights, baked).items()}


def _record(source: file.LoraFile, order: Order, weights: Weights, baked: Baked) -> Mapping[str, str]:
    values = {
        "source": order.source.name,
        "source_sha256": hashlib.sha256(order.source.read_bytes()).hexdigest(),
        "source_model_hash": source.metadata.get("sshs_model_hash", ""),
        "tag": order.weights.strip(),
        "te": f"{weights.te:g}",
        "unet": f"{weights.unet:g}",
        "blocks": json.dumps(weights.ratios) if weights.ratios is not None else "",
        "elements": inline(weights.rules),
        "seed": str(order.seed) if weights.is_random else "",
        "layers_left_out": str(len(baked.dropped)),
        "layers_as_difference": json.dumps(baked.rewritten) if baked.rewritten else "",
        "base": order.base.name if order.base and baked.rewritten else "",
        "implementation": metadata.IMPLEMENTATION,
    }
    return {key: text for key, text in values.items() if text}


def _notes(weights: Weights, baked: Baked) -> list[str]:
    notes = list(weights.warnings)
    if weights.window != ALWAYS:
        notes.append("The steps (start, stop) are not in the file: it acts in every step.")
    if weights.is_random:
        notes.append("The random weights (R, U) were drawn once: the file always has these numbers.")
    if baked.rewritten:
        notes.append(f"{len(baked.rewritten)} layers became full differences, which fit the named base checkpoint "
                     "and make the file bigger: the kind that they were has no such strength.")
    return notes
