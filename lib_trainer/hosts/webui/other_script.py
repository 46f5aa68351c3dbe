"""The LoRA Block Weight extension beside us: one of both gives LoRAs their block weights, never both.

Both read the same tags and go by the same name in the API. Usually ours steps aside: tags reach the WebUI and the other
script as they are written, our panel says so, and our script goes by another name. A setting has ours act instead: then
the other script is left out when the WebUI builds its page, so it has no panel, no arguments and no part in a picture.
Its files stay untouched. Either is decided before the page is built, at the start and at every "Reload UI".
"""
from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

TITLE = "LoRA Block Weight"
"""Name of the script in the page and in the API's `alwayson_scripts`."""

TITLE_ASIDE = "Train LoRA: block weights"
"""Name of ours while the other script has that one."""

OPTION = "lora_trainer_take_over_block_weights"
"""Key of the setting."""

_STEM = "lora_block_weight"
"""Its file's name, by which the other extension, and ADetailer, know its script, too."""

_log = logging.getLogger(__name__)


class OtherScript:
    """The other script, as it was found when the page was built.

    Attributes:
        acts: whether the other script gives LoRAs their block weights, and ours steps aside.
    """

    def __init__(self) -> None:
        self.acts = False
        self._told: set[str] = set()

    @property
    def our_title(self) -> str:
        """The name that is left for our script."""
        return TITLE_ASIDE if self.acts else TITLE

    def look(self) -> None:
        """Finds the other script among the WebUI's and decides who acts; called before the page is built."""
        from modules import scripts, shared

        found = [data for data in scripts.scripts_data if _is_other(data)]
        takes_over = bool(shared.opts.data.get(OPTION, False))
        self.acts = bool(found) and not takes_over
        if not found:
            return
        folder = Path(found[0].basedir).name
        if takes_over:
            scripts.scripts_data[:] = [data for data in scripts.scripts_data if data not in found]
            self._tell(f"Train LoRA gives LoRAs their block weights; the script of '{folder}' was left out, as the "
                       "setting 'Take over block weights' says.")
        else:
            self._tell(f"The extension '{folder}' gives LoRAs their block weights, so Train LoRA's own step aside. To "
                       "have them act instead, switch on Settings > Train LoRA > 'Take over block weights' and press "
                       "'Reload UI'.")

    def run(self, p: Any) -> Any:
        """Hands a plot on: the other extension looks for its own script by file name and may have found ours.

        Args:
            p: the WebUI's processing object.
        """
        if not self.acts:
            return None
        for script in p.scripts.alwayson_scripts:
            if script.title() == TITLE:
                return script.run(p, *p.script_args[script.args_from:script.args_to])
        return None

    def _tell(self, sentence: str) -> None:
        """Writes on the console, once."""
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning(sentence)


def _is_other(data: Any) -> bool:
    """Whether one of the WebUI's records of a script class is of another extension's block weights."""
    return Path(data.path).stem == _STEM and not _is_ours(data.module)


def _is_ours(module: ModuleType) -> bool:
    """Whether a script module works with this package, also one of a second copy of this extension."""
    package = __name__.partition(".")[0]
    return any(str(getattr(value, "__name__", "")).partition(".")[0] == package for value in vars(module).values())
