"""The analysis as the LoRA Block Weight extension asks for it: a tag with `XYZ`, and the boxes of its panel."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lib_trainer.blocks import writing
from lib_trainer.blocks.layouts import ARCH_BLOCKS
from lib_trainer.blocks.values import shortened
from lib_trainer.compare import placeholder
from lib_trainer.compare.block_groups import parse_groups, parse_range
from lib_trainer.compare.pictures import BlockPictures, Settings
from lib_trainer.compare.placeholder import Placed
from lib_trainer.errors import Problems, UserError


def analysis_of(
    asked: Mapping[str, object], prompt: str, seed: int, arch: str, present: Sequence[str] | None = None
) -> BlockPictures:
    """Returns the pictures to draw.

    Args:
        asked: "range" ("0.5,1"), "blocks" (a list, 17ALL, AUTO ...), "seeds" (number of seeds), "ground" ("black" or
            "white"), "threshold" (0 to 255), "swap" (whether the axes are swapped), as a page or a client sends them;
            what is missing, None or "" has its usual value.
        prompt: the prompt with its `XYZ`.
        seed: that of the generation.
        arch: "sd15" or "sdxl".
        present: the blocks that the LoRA has; None = not known, all are examined.

    Raises:
        UserError: what is wrong with the prompt and the boxes, all of it.
    """
    faults = [] if placeholder.placeholders(prompt) & {placeholder.WEIGHTS, placeholder.INVERSE} else [
        "The analysis needs a place in the prompt: write XYZ as the block weights of a LoRA, <lora:name:1:XYZ>."]
    there = ARCH_BLOCKS[arch] if present is None else tuple(present)
    try:
        groups, told = parse_groups(_text(asked, "blocks", "AUTO"), arch, there)
        settings = _settings(asked)
    except Problems as found:
        raise Problems([*faults, *found.problems]) from None
    except UserError as fault:
        raise Problems([*faults, str(fault)]) from None
    if faults:
        raise Problems(faults)

    def change(ratios: Mapping[str, float]) -> Placed:
        inverse = {block: round(1 - value, 10) for block, value in ratios.items()}
        return Placed(writing.numbers(ratios, arch), writing.numbers(inverse, arch))

    return BlockPictures(groups, settings, seed, arch, change, ", ".join(placeholder.names(prompt)), told)


def _settings(asked: Mapping[str, object]) -> Settings:
    low, high = parse_range(_text(asked, "range", "0.5,1"))
    return Settings(
        low, high, seeds=_whole(asked, "seeds", 1, "The number of seeds"),
        threshold=_whole(asked, "threshold", 20, "The threshold of differences"),
        ground=_text(asked, "ground", "black").lower(), swapped=_truth(asked.get("swap")))


def _text(asked: Mapping[str, object], name: str, usual: str) -> str:
    given = asked.get(name)
    return usual if given is None or not str(given).strip() else str(given).strip()


def _whole(asked: Mapping[str, object], name: str, usual: int, label: str) -> int:
    text = _text(asked, name, str(usual))
    if not re.fullmatch(r"[+-]?[0-9]{1,9}(\.0*)?", text, re.ASCII):  # a page's number box sends 1.0
        raise UserError(f"{label} must be a whole number, got '{shortened(text)}'.")
    return int(text.partition(".")[0])


def _truth(given: object) -> bool:
    return given.strip().lower() in ("true", "1", "yes", "on") if isinstance(given, str) else bool(given)
