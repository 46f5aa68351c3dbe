"""Wires a host, the jobs and the faces together; the one module that may import everything.

The faces (page, API, command line) get an `App` and never learn which host is behind it.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host, HostPaths, Txt2ImgHost
from lib_trainer.jobs import Jobs

DEMO_CHECKPOINT = Path(__file__).parent / "assets" / "demo" / "demo.safetensors"
"""The checkpoint that ships with the package."""

MODELS_DIR, LORAS_DIR, OUTPUTS_DIR = Path("models"), Path("loras"), Path("outputs")
"""Folders of the embedded host, in the current folder unless the person says otherwise."""


@dataclass(frozen=True)
class App:
    """What the faces work with."""

    host: Host
    jobs: Jobs


@dataclass(frozen=True)
class EmbeddedApp(App):
    """An app whose page is ours altogether, txt2img included."""

    host: Txt2ImgHost


@functools.cache
def webui() -> App:
    """Returns the app inside the WebUI that runs in this process.

    One per process: the WebUI's "Reload UI" builds the page and the scripts anew, and a training that runs meanwhile is
    found again. Nothing is read of the model, so it may be called before a checkpoint is loaded.
    """
    from lib_trainer.hosts.webui import program
    from lib_trainer.hosts.webui.host import WebUIHost

    host = WebUIHost(program.backend())
    return App(host, Jobs(host))


def standalone(
    model: Path | None = None,
    models_dir: Path = MODELS_DIR,
    loras_dir: Path = LORAS_DIR,
    outputs_dir: Path = OUTPUTS_DIR,
    presets_file: Path | None = None,
) -> EmbeddedApp:
    """Starts the embedded host.

    Args:
        model: checkpoint file, or the name of one in `models_dir`; None = the demo checkpoint.
        models_dir: folder of checkpoints.
        loras_dir: folder in which LoRAs are found and saved.
        outputs_dir: folder of pictures; settings and caches are kept in it too.
        presets_file: block-weight presets; None = the file in the settings folder.

    Raises:
        UserError: a folder cannot be made, or the checkpoint cannot be used.
    """
    from lib_trainer.hosts.standalone.host import StandaloneHost

    paths = HostPaths(
        loras=loras_dir.absolute(), outputs=outputs_dir.absolute(),
        settings=(outputs_dir / "settings").absolute(), cache=(outputs_dir / "cache").absolute(),
    )
    for folder in (models_dir, paths.loras, paths.outputs, paths.settings, paths.cache):
        _make(folder)
    host = StandaloneHost(
        _checkpoint(model, models_dir), paths, models_dir=models_dir.absolute(), presets_file=presets_file
    )
    return EmbeddedApp(host, Jobs(host))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be made ({error.strerror}): choose another one.") from None


def _checkpoint(model: Path | None, models_dir: Path) -> Path:
    if model is None:
        return DEMO_CHECKPOINT
    named = models_dir / model
    return named if not model.exists() and named.exists() else model
