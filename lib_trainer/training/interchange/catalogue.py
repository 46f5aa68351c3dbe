"""All options of sd-scripts' LoRA trainers by name, joined from `options/`."""
from __future__ import annotations

from lib_trainer.training.interchange.option import Option
from lib_trainer.training.interchange.options import captions, data, loss, memory, network, previews, rates, saving

OPTIONS: dict[str, Option] = {
    option.name: option
    for table in (
        data.OPTIONS, captions.OPTIONS, network.OPTIONS, rates.OPTIONS, loss.OPTIONS, memory.OPTIONS, saving.OPTIONS,
        previews.OPTIONS,
    )
    for option in table
}
"""In the order of the catalogue's sections."""
