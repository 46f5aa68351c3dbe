"""Wires a host, the jobs and the faces together; the one module that may import everything.

The faces (page, API, command line) get an `App` and never learn which host is behind it.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError
from lib_trainer.host import Host, HostPaths
from lib_trainer.jobs import Jobs
from lib_trainer.txt2img_host import Txt2ImgHost

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lib_trainer.hosts.webui.host import WebUIHost
    from lib_trainer.training.world import World

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


@dataclass(frozen=True)
class WebUIApp(App):
    """An app inside a WebUI, which draws by its own page."""

    host: WebUIHost


@functools.cache
def webui() -> WebUIApp:
    """Returns the app inside the WebUI that runs in this process.

    One per process: the WebUI's "Reload UI" builds the page and the scripts anew, and a training that runs meanwhile is
    found again. Nothing is read of the model, so it may be called before a checkpoint is loaded.
    """
    from lib_trainer.hosts.webui import program
    from lib_trainer.hosts.webui.host import WebUIHost

    host = WebUIHost(program.backend())
    return WebUIApp(host, Jobs(host))


def standalone(
    model: Path | None = None,
    models_dir: Path = MODELS_DIR,
    loras_dir: Path = LORAS_DIR,
    outputs_dir: Path = OUTPUTS_DIR,
    presets_file: Path | None = None,
    elements_file: Path | None = None,
    *,
    world: World | None = None,
    logs: bool = False,
) -> EmbeddedApp:
    """Starts the embedded host.

    Args:
        model: checkpoint file, or the name of one in `models_dir`; None = the demo checkpoint.
        models_dir: folder of checkpoints.
        loras_dir: folder in which LoRAs are found and saved.
        outputs_dir: folder of pictures; settings and caches are kept in it too.
        presets_file: block-weight presets; None = the file in the settings folder.
        elements_file: elemental rules, likewise.
        world: the processes that train together, None = this one alone.
        logs: whether whoever asks writes logs of trainings.

    Raises:
        UserError: a folder cannot be made, or the checkpoint cannot be used.
    """
    from lib_trainer.hosts.standalone.host import StandaloneHost

    paths = replace(standalone_paths(loras_dir, outputs_dir), checkpoints=models_dir.absolute())
    for folder in (models_dir, paths.loras, paths.outputs, paths.settings, paths.cache):
        _make(folder)
    host = StandaloneHost(
        _checkpoint(model, models_dir), paths, models_dir=models_dir.absolute(), presets_file=presets_file,
        elements_file=elements_file,
    )
    return EmbeddedApp(host, Jobs(host, world, logs))


def standalone_paths(loras_dir: Path = LORAS_DIR, outputs_dir: Path = OUTPUTS_DIR) -> HostPaths:
    """Returns the folders of the embedded host, which need not be there yet; arguments as of `standalone`."""
    return HostPaths(
        loras=loras_dir.absolute(), outputs=outputs_dir.absolute(),
        settings=(outputs_dir / "settings").absolute(), cache=(outputs_dir / "cache").absolute(),
    )


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


def webui_tabs() -> list[tuple[Any, str, str]]:
    """Returns the tabs for a WebUI's `on_ui_tabs`: blocks, title and id of each; the WebUI may ask several times."""
    from lib_trainer.ui import train_tab, workbench_tab

    app = webui()
    return [(train_tab.build(app, app.host.samplers()), train_tab.TITLE, "train_lora"),
            (workbench_tab.build(app), workbench_tab.TITLE, "lora_workbench")]


def webui_settings() -> None:
    """Adds our section to a WebUI's settings, for its `on_ui_settings`."""
    from lib_trainer.hosts.webui import options
    from lib_trainer.ui import webui_settings

    for row in webui_settings.rows(webui().host.paths.settings):
        options.add(*row)


def webui_routes(page: object, web: FastAPI) -> None:
    """Adds our routes to a WebUI, for its `on_app_started`: what its page reads always, all others with its API.

    Args:
        page: the WebUI's blocks; None where it serves its API alone.
        web: the application that serves it.
    """
    from lib_trainer.api import boundary, login, routes
    from lib_trainer.hosts.webui import access

    app, accounts = webui(), access.api_accounts()
    of_page = login.page_login(web)
    if accounts is None:
        boundary.mount(web, routes.page_routes(app.jobs, app.host, of_page, web))
        return
    of_api = login.api_login(accounts)
    boundary.mount(web, routes.page_routes(app.jobs, app.host, login.either(of_page, of_api), web))
    boundary.mount(web, routes.caller_routes(app.jobs, app.host, of_api, web))


def webui_block_weight_panel(tab: str, prompt: object | None) -> list[Any]:
    """Lays out the Block Weight panel where a WebUI is just building a tab's scripts.

    A WebUI that serves its API asks once more, on an empty page, for the first values of the components: there these
    alone are made.

    Args:
        tab: "txt2img" or "img2img".
        prompt: the tab's prompt box, or None.

    Returns:
        the components whose values are the script's, in the order that its API clients know; none while the LoRA Block
        Weight extension acts in our place.
    """
    from lib_trainer.hosts.webui import paths
    from lib_trainer.ui.block_weight import aside, panel

    if webui().host.other.acts:
        aside.lay_out(tab)
        return []
    made = panel.BlockWeightPanel(webui().host, tab, paths.peer_scripts())
    here = panel.on_this_page(prompt)
    if prompt is not None and here is None:
        made.lay_out_values()
    else:
        made.lay_out(here)
    return made.script.components


def webui_before_ui() -> None:
    """Readies a WebUI for its page, for its `on_before_ui`: axes of the X/Y/Z plot, a "Reload UI" that spares us."""
    from lib_trainer.hosts.webui import xyz

    host = webui().host
    host.page_begins()
    xyz.add_axes(host.presets, host.elements, weighs=not host.other.acts)


def webui_generation(page: object, web: FastAPI) -> None:
    """Takes our place before a WebUI's LoRAs, for its `on_app_started`: by then every extension has registered its own.

    Args:
        page: the WebUI's blocks. web: the application that serves it.
    """
    from lib_trainer.hosts.webui import tags

    tags.stand_before_lora(webui().host)


def webui_step_begins(params: object) -> None:
    """Switches LoRAs that act in some steps only, for a WebUI's `on_cfg_denoiser`."""
    webui().host.windows.step_begins(params)


def webui_pasted(infotext: str, params: dict[str, Any]) -> None:
    """Puts block weights of pasted parameters back, for a WebUI's `on_infotext_pasted`."""
    from lib_trainer.hosts.webui.infotext import pasted

    host = webui().host
    pasted(params, host.presets, host.elements)
