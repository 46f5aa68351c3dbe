"""Our settings as a file that another program reads, and what of them cannot be said there."""
from __future__ import annotations

import json
from dataclasses import dataclass, field

from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange import command, dataset_text, gui_writing, shell, toml_text, writing
from lib_trainer.training.interchange.imported import COMMAND, DATASET, GUI, OURS


@dataclass
class Exported:
    """A text for another program.

    Attributes:
        text: content. suffix: ending of a file of it. lost: one sentence per setting that cannot be said there.
    """

    text: str
    suffix: str
    lost: list[str] = field(default_factory=list)


def export(config: TrainConfig, kind: str, sdxl: bool = False, shell_kind: str = shell.BASH) -> Exported:
    """Returns a config as one of `imported.FORMATS`.

    Args:
        config: the settings.
        kind: a key of FORMATS.
        sdxl: whether the base model is SDXL.
        shell_kind: of a command: a key of `shell.ENDINGS`.
    """
    if kind == OURS:
        return Exported(json.dumps(config.to_dict(), indent=2, ensure_ascii=False) + "\n", ".json")
    written = writing.options(config, sdxl)
    if kind == DATASET:
        return Exported(dataset_text.write(config, written.values), ".toml", _lost_pictures(config))
    lost = written.lost + _flat_folders(config)
    if kind == GUI:
        data, more = gui_writing.write(written.values, config, sdxl)
        return Exported(json.dumps(data, indent=2, ensure_ascii=False) + "\n", ".json", lost + more)
    if kind == COMMAND:
        return Exported(command.write(written.values, sdxl, shell_kind), shell.ENDINGS[shell_kind], lost)
    script = command.SDXL_SCRIPT if sdxl else command.SCRIPT
    head = f"# Written by Train LoRA; accelerate launch {script} --config_file THIS_FILE\n"
    return Exported(head + toml_text.table(written.values), ".toml", lost)


def _flat_folders(config: TrainConfig) -> list[str]:
    return [
        f"{name} = {folder!r}: sd-scripts trains sub-folders named N_caption only; write a dataset file as well "
        "and name it in dataset_config in place of the folder."
        for name, folder in (("images", config.images), ("reg_images", config.reg_images))
        if folder and dataset_text.is_flat(folder)
    ]


def _lost_pictures(config: TrainConfig) -> list[str]:
    if config.datasets:
        return [f"datasets = {config.datasets!r}: the settings name a dataset file already; use that one."]
    return [] if config.images else ["images is empty: the dataset file names no folder yet."]
