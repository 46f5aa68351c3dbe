"""The folders of a WebUI, as its command line says."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import HostPaths

HOME = "lora-trainer"
"""Our folder in the host's data folder: settings, block presets, caches. It outlives the extension's own folder."""


def folders() -> HostPaths:
    """Returns the host's folders; those that are missing are made.

    Raises:
        UserError: one cannot be made.
    """
    from modules.paths_internal import data_path, default_output_dir, models_path
    from modules.shared import cmd_opts

    home = Path(data_path).absolute() / HOME
    paths = HostPaths(
        loras=Path(cmd_opts.lora_dir).absolute(),
        outputs=_asked("lora_trainer_outputs_dir") or Path(default_output_dir).absolute(),
        settings=_asked("lora_trainer_settings_dir") or home,
        cache=_asked("lora_trainer_cache_dir") or home / "cache",
        checkpoints=Path(models_path).absolute() / "Stable-diffusion",
    )
    for folder in (paths.loras, paths.outputs, paths.settings, paths.cache):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"The folder {folder} cannot be made ({error.strerror}): choose another one with the "
                            "--lora-trainer-* options of the WebUI.") from None
    return paths


def _asked(option: str) -> Path | None:
    """Returns the folder that a command-line option of ours names."""
    from modules.shared import cmd_opts

    value = getattr(cmd_opts, option, None)  # absent when the host was started before the extension was installed
    return Path(value).absolute() if value else None


def peer_scripts() -> list[Path]:
    """Returns the folders in which the LoRA Block Weight extension keeps its presets, or kept them once.

    An extension's folder may have any name; it is known by the files in it, which is for the caller to see.
    """
    from modules.paths_internal import extensions_dir, script_path

    found = sorted(Path(extensions_dir).glob("*/scripts"))
    return [*found, Path(script_path) / "scripts"]
