"""The preset manager: every preset with a picture of its numbers, and all that can be done with it."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lib_trainer.blocks.entry_text import Item
from lib_trainer.blocks.layouts import ARCH_LABELS, FLUX_LENGTH, LAYOUTS
from lib_trainer.blocks.preset_editing import PRESETS
from lib_trainer.blocks.presets import SHIPPED
from lib_trainer.ui.block_weight.bars import bars
from lib_trainer.ui.block_weight.entry_list import Words
from lib_trainer.ui.block_weight.entry_part import EntryPart, Kind
from lib_trainer.ui.block_weight.entry_table import EntryTable

_KIND = Kind(
    PRESETS, SHIPPED, "Presets", "", "presets",
    Words("Behind the strength in a tag.", "Weights of the blocks",
          "12, 17, 20 or 26 numbers with commas between."),
    "One preset a line: NAME:1,0.5,... with 12, 17, 20 or 26 numbers. All else is a comment.",
)


class PresetManager(EntryPart):
    """The presets' part of the panel."""

    def __init__(self, settings: Path, prefix: str, peer: Sequence[Path] = ()) -> None:
        """Starts an empty part; see `EntryPart`."""
        prefix = f"{prefix}_presets"
        table = EntryTable(f"{prefix}_chosen", ("For", "Blocks"), _cells, {"": "All", **ARCH_LABELS})
        super().__init__(settings, prefix, _KIND, table, peer)


def _cells(item: Item) -> tuple[str, str]:
    """Architecture and length, and the picture."""
    items = item.body.split(",")
    label = ARCH_LABELS.get(item.key.arch, "Flux" if len(items) == FLUX_LENGTH else "-")
    names = LAYOUTS.get(len(items), tuple(str(place) for place in range(1, len(items) + 1)))
    return f"{label} · {len(items)}", bars(dict(zip(names, items, strict=True)))
