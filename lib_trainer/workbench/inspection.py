"""All that a LoRA file tells: names, kinds and ranks, what each block does, hashes, and what is strange in it."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_trainer.lora import keys
from lib_trainer.lora.algorithms import registry
from lib_trainer.lora.metadata import MODEL_HASH
from lib_trainer.workbench import hashes, reading, strengths
from lib_trainer.workbench.operation import Operation, Outcome, Progress, finish
from lib_trainer.workbench.reading import ReadLora
from lib_trainer.workbench.report import OTHER
from lib_trainer.workbench.strengths import Strength


@dataclass(frozen=True)
class InspectOrder:
    """What is to be looked into.

    Attributes:
        source: the LoRA.
        family: "sd1", "sd2" or "sdxl"; "" = as the file tells.
    """

    source: Path
    family: str = ""


def inspect(path: Path, family: str = "") -> Outcome:
    """Returns what `run` comes to.

    Raises:
        UserError: as `run`.
    """
    return finish(run(InspectOrder(path, family)))


def run(order: InspectOrder) -> Operation:
    """Looks into a file; facts of the whole, and a row for each block.

    Raises:
        UserError: it is damaged, or no LoRA.
    """
    yield Progress(0, 1, "Reading")
    lora = reading.read(order.source, order.family)
    layers = yield from strengths.of_layers(lora)
    found = (yield from hashes.run(hashes.HashOrder(order.source))).facts
    by_block = strengths.blocks(layers)
    shares = strengths.shares(by_block)
    rows = [strengths.row(block, members, shares[block]) for block, members in by_block.items()]
    facts = {**_facts(order.source, lora, layers), "hashes": found, **_stored_hash(lora.metadata, found),
             "metadata": lora.metadata}
    notes = [*lora.notes, *reading.carried_notes(lora), *strengths.notes(layers), *_empty(layers)]
    return Outcome(None, {"summary": _summary(facts), **facts}, rows, notes)


def _facts(path: Path, lora: ReadLora, layers: list[Strength]) -> dict[str, Any]:
    """Returns what `file.inspect` tells of a file in kohya's names, for one in any."""
    grouped = keys.by_layer(lora.tensors)
    kinds = Counter(_kind(parts) for parts in grouped.values())
    tensors = [*lora.tensors.values(), *lora.carried.values()]
    return {
        "file": str(path), "bytes": path.stat().st_size, "naming": lora.naming,
        "algorithm": keys.algorithm(lora.tensors), "kinds": dict(kinds), "family": lora.family,
        "arch": keys.ARCH_BY_FAMILY.get(lora.family or ""), "tensors": len(tensors), "layers": list(grouped),
        "layers_in_no_block": sum(layer.block == OTHER for layer in layers) if lora.family else None,
        "blocks": [block for block in strengths.blocks(layers) if block != OTHER],
        "ranks": dict(Counter(layer.rank for layer in layers if layer.rank)),
        "alphas": dict(Counter(float(parts[keys.ALPHA].double().flatten()[0]) for parts in grouped.values()
                               if keys.ALPHA in parts)),
        "dtypes": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors)),
        "unknown": sorted(lora.carried),
    }


def _kind(parts: Mapping[str, object]) -> str:
    """Returns a layer's kind as people call it."""
    algorithm = registry.find(parts)
    name = algorithm.name if algorithm else "bias"
    return f"{name} with DoRA" if registry.DORA_SCALE in parts else name


def _stored_hash(metadata: Mapping[str, str], found: Mapping[str, Any]) -> dict[str, Any]:
    stored, own = metadata.get(MODEL_HASH), found.get(MODEL_HASH)
    return {"tensor_hash": own, "hash_matches": None if stored is None else stored == own}


def _empty(layers: list[Strength]) -> list[str]:
    count = sum(layer.is_empty for layer in layers)
    return [f"{count} layers change nothing; pruning takes them out."] if count else []


def _summary(facts: Mapping[str, Any]) -> str:
    label = {"sd1": "SD 1.x", "sd2": "SD 2.x", "sdxl": "SDXL"}.get(facts["family"], "of an unknown model")
    ranks = f", rank {min(facts['ranks'])}" + (f" to {max(facts['ranks'])}" if len(facts["ranks"]) > 1 else "") \
        if facts["ranks"] else ""
    return (f"{Path(facts['file']).name}: {facts['algorithm']}, {label}, {len(facts['layers'])} layers{ranks}, "
            f"{facts['bytes'] / 1e6:.1f} MB, names of {facts['naming']}.")

