"""The line that says on which checkpoint will be trained."""
from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.host_model import Checkpoint
from lib_trainer.ui import notes


def told(host: Host, settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Says on what will be trained, what the WebUI will do for that, and what stands in the way.

    Returns:
        The line, and the sentences that need not be told again below it.
    """
    from lib_trainer.training import base as bases

    obstacles = host.obstacles()
    try:
        base = bases.find(str(settings["base_model"]), host)
        shown = line(host.checkpoint(base))
        note = bases.switch_note(base, host)
        if note:
            shown += loaded_first(host.checkpoint().name)
        return shown + notes.problems(obstacles), [*obstacles, note]
    except UserError as error:
        return notes.problems([str(error), *obstacles]), [str(error), *obstacles]


def line(checkpoint: Checkpoint) -> str:
    """Returns the name of a checkpoint and what is known of it."""
    facts = f"{checkpoint.family.label} · {checkpoint.resolution} px · {checkpoint.prediction}"
    return (f'<div class="tl-checkpoint"><small>Trains on</small> <b>{escape(checkpoint.name)}</b> '
            f'<span class="tl-quiet">{escape(facts)}</span></div>')


def loaded_first(loaded: str) -> str:
    """Returns that another checkpoint is loaded for the training, and comes back."""
    return ('<p class="tl-quiet"><span>It is loaded for the training; afterwards this one comes back:</span> '
            f"<b>{escape(loaded)}</b></p>")
