"""What an analysis examines: blocks one by one or in groups, and the two weights between which each is moved.

Written as the LoRA Block Weight extension takes it: a group is what stands between two commas ("IN04 IN05",
"OUT03-OUT05", "NOT BASE"), `17ALL` stands for every block of the 17-number list, and a range is "0.5,1": the weight
that the group gets, and the one that all others keep. `AUTO` (or nothing) stands for the blocks that the LoRA has.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_LABELS, BLOCKS_26, LAYOUTS, in_words
from lib_trainer.blocks.values import Unreadable, read_number, shortened
from lib_trainer.compare.axes import chosen_blocks
from lib_trainer.errors import Problems, UserError

AUTO = "AUTO"
DEFAULT_RANGE = "0.5,1"

_LISTS = {f"{length}ALL": names for length, names in LAYOUTS.items()}


@dataclass(frozen=True)
class Group:
    """Blocks that are changed together.

    Attributes:
        label: as written, or the block's name.
        blocks: in the order of the layout, at least one.
    """

    label: str
    blocks: tuple[str, ...]


def parse_groups(text: str, arch: str, present: Sequence[str]) -> tuple[list[Group], list[str]]:
    """Reads what to examine.

    Args:
        text: groups between commas, `12ALL`, `17ALL`, `20ALL`, `26ALL`, or `AUTO` (empty means the same).
        arch: "sd15" or "sdxl".
        present: the blocks that the LoRA has.

    Returns:
        The groups that the LoRA has layers in, and sentences about those left out.

    Raises:
        Problems: pieces that name no blocks. UserError: nothing is left to examine.
    """
    wanted = _written(text.strip(), arch, present)
    there = [group for group in wanted if set(group.blocks) & set(present)]
    missing = [group for group in wanted if group not in there]
    if not there:
        has = in_words(present) or "none"
        raise UserError(f"There is nothing to examine: the LoRA has no layers in '{shortened(text)}' (its blocks on "
                        f"{ARCH_LABELS[arch]}: {has}).")
    return there, [_left_out(missing)] if missing else []


def parse_range(text: str) -> tuple[float, float]:
    """Reads "0.5,1": the weight of the examined blocks, and that of all others.

    Raises:
        UserError: not two numbers, or two equal ones.
    """
    pieces = [piece.strip() for piece in text.split(",")]
    try:
        numbers = [read_number(piece) for piece in pieces]
    except Unreadable as fault:
        raise UserError(f"The range '{shortened(text)}' cannot be read: {fault}. Write two numbers, such as "
                        f"{DEFAULT_RANGE}.") from None
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise UserError(f"The range needs two different numbers, such as {DEFAULT_RANGE} (the weight of the examined "
                        f"block, then that of all others), got '{shortened(text)}'.")
    return numbers[0], numbers[1]


def _written(text: str, arch: str, present: Sequence[str]) -> list[Group]:
    if text.upper() in ("", AUTO):
        return singles(present)
    if text.upper() in _LISTS:
        return singles(_LISTS[text.upper()])
    groups: dict[tuple[str, ...], Group] = {}
    faults = []
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        try:
            group = _group(piece)
            known = tuple(block for block in group.blocks if block in ARCH_BLOCKS[arch])
            groups.setdefault(known or group.blocks, group)
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise Problems(faults)
    return list(groups.values())


def singles(blocks: Iterable[str]) -> list[Group]:
    """Returns a group for each block."""
    return [Group(block, (block,)) for block in blocks]


def _group(piece: str) -> Group:
    """Reads one group, as a value of a plot's axis "Block ID"."""
    named = chosen_blocks(piece, BLOCKS_26)
    if not named:
        raise UserError(f"'{shortened(piece)}' leaves no block: name fewer behind NOT.")
    return Group(piece, tuple(block for block in BLOCKS_26 if block in named))


def _left_out(groups: Sequence[Group]) -> str:
    labels = ", ".join(group.label for group in groups)
    return f"Left out, for the LoRA has no layers there: {shortened(labels, 120)}."


def weights(
    arch: str, changed: Iterable[str], value: float, others: float
) -> dict[str, float]:
    """Returns the weight of every block of an architecture: `value` for the changed ones, `others` for the rest."""
    chosen = set(changed)
    return {block: value if block in chosen else others for block in ARCH_BLOCKS[arch]}
