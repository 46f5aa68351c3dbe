"""The elemental rules on the page: weights for parts of blocks, by name."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from lib_trainer.blocks.element_editing import ELEMENTS
from lib_trainer.blocks.elements import SHIPPED
from lib_trainer.blocks.entry_text import Item
from lib_trainer.ui.block_weight.entry_list import Words
from lib_trainer.ui.block_weight.entry_part import EntryPart, Kind
from lib_trainer.ui.block_weight.entry_table import EntryTable

_INTRO = """<p class="tl-quiet"><span>Rules weigh single layers of blocks, in the place of their block's weight:</span>
<code>&lt;lora:name:1:lbwe=ATTNDEEPOFF&gt;</code></p>"""

_KIND = Kind(
    ELEMENTS, SHIPPED, "Elemental rules", _INTRO, "elemental rules",
    Words("Behind lbwe= in a tag.", "Rules",
          "One a line, blocks:elements:ratio, such as IN05-OUT05:attn:0. Nothing named means all; NOT turns a choice "
          "round; the later rule wins.", 3),
    "NAME:blocks:elements:ratio, and an empty line between two names. Lines that begin with a hash sign are comments.",
)


class ElementManager(EntryPart):
    """The rules' part of the panel."""

    def __init__(self, settings: Path, prefix: str, peer: Sequence[Path] = ()) -> None:
        """Starts an empty part; see `EntryPart`."""
        prefix = f"{prefix}_elements"
        super().__init__(settings, prefix, _KIND, EntryTable(f"{prefix}_chosen", ("Rules",), _cells, {}), peer)


def _cells(item: Item) -> tuple[str]:
    return ("<br>".join(f"<code>{escape(line)}</code>" for line in item.body.splitlines()),)
