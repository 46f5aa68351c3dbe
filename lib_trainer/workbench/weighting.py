"""What a source of a sum comes to for each of its layers: one factor, from its strengths and its block weights."""
from __future__ import annotations

from collections.abc import Iterable

from lib_trainer.blocks import tags
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.layers import is_text_encoder
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.windows import ALWAYS
from lib_trainer.errors import UserError
from lib_trainer.lora import keys
from lib_trainer.workbench.sources import Source


def factors(
    source: Source, layers: Iterable[str], arch: str, presets: Presets, elements: Elements
) -> tuple[dict[str, float], list[str]]:
    """Returns the factor of every layer's change, and sentences for the person.

    Args:
        source: the file with its strengths. layers: kohya layer names, as the file spells them.
        arch: "sd15" or "sdxl". presets, elements: what names in its block weights mean.

    Raises:
        UserError: its block weights cannot be read.
    """
    names = {layer: keys.canonical(layer) for layer in layers}
    te = source.strength if source.te is None else source.te
    unet = source.strength if source.unet is None else source.unet
    weights, notes = (_resolved(source, arch, presets, elements) if source.weights.strip() else (None, []))
    found = multipliers(weights, names.values(), arch) if weights else dict.fromkeys(names.values(), 1.0)
    return {layer: found[name] * (te if is_text_encoder(name) else unet) for layer, name in names.items()}, notes


def _resolved(source: Source, arch: str, presets: Presets, elements: Elements) -> tuple[Weights, list[str]]:
    """Reads what stands after the name in a tag.

    Raises:
        UserError: it cannot be read, or is more than that.
    """
    text = source.weights.strip()
    rest, found = tags.split(f"<lora:source:{text}>")
    if len(found) != 1 or rest.strip():
        raise UserError(f"'{text}' is not what stands after the name in a LoRA tag. Write a strength and block "
                        "weights, such as 1:lbw=NCNF.")
    weights = resolve(found[0], presets, arch, elements, seed=0)
    if weights.errors:
        # A picture would be drawn in spite of the mistake, and be told how; a file is not written.
        told = [error.partition(" LoRA 'source' acts with plain strength")[0] for error in weights.errors]
        raise UserError(f"{source.path.name}: {' '.join(told)} Nothing was written.")
    notes = [f"{source.path.name}: {warning}" for warning in weights.warnings]
    if weights.window != ALWAYS:
        notes.append(f"{source.path.name}: the steps (start, stop) are not in the file: it acts in every step.")
    if weights.is_random:
        notes.append(f"{source.path.name}: the random weights (R, U) were drawn once: the file always has these "
                     "numbers.")
    return weights, notes
