"""As many uses of regularisation pictures as of training pictures, as the field does it."""
from __future__ import annotations

from collections.abc import Sequence

from lib_trainer.data.item import Item


def balance(items: Sequence[Item]) -> list[tuple[Item, int]]:
    """Returns the pictures in use with their repeats: as many uses of regularisation pictures as of training pictures.

    Regularisation pictures are taken one by one, with their folder's repeats, until they have as many uses; if all of
    them are not enough, their repeats rise by one in turn. What is over is left out. The field's rule: the last picture
    taken may bring a few uses too many.
    """
    used = [(item, item.repeats) for item in items if not item.is_reg]
    wanted = sum(repeats for _, repeats in used)
    reg: list[Item] = []
    repeats: list[int] = []
    count = 0
    for item in items:
        if item.is_reg and count < wanted:
            reg.append(item)
            repeats.append(item.repeats)
            count += item.repeats
    for index in range(wanted - count if reg else 0):
        repeats[index % len(reg)] += 1
    return used + list(zip(reg, repeats, strict=True))
