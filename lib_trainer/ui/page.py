"""The embedded host's page, served by uvicorn with the API routes: txt2img, Train LoRA and LoRA Workbench in tabs.

Everything the page needs comes from this machine: the theme uses the system's own fonts, and gradio's HTML is freed of
the addresses it would fetch from other servers (`served_html`).
"""
from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.txt2img_host import GenerateRequest
from lib_trainer.ui import goal_choice, train_tab, workbench_tab
from lib_trainer.ui.app import EmbeddedApp
from lib_trainer.ui.checkpoint_picker import CheckpointPicker
from lib_trainer.ui.saved_settings import Draft
from lib_trainer.ui.served_html import ServedHtml
from lib_trainer.ui.txt2img import Txt2Img

if TYPE_CHECKING:
    from fastapi import FastAPI

TITLE = "Train LoRA + Block Weight"
TRIED_PORTS = 100

_ROOT = Path(__file__).resolve().parents[2]
"""The extension's folder: javascript, style.css and localizations lie where the WebUIs look for them."""
DEMO = _ROOT / "lib_trainer" / "assets" / "demo"
"""Folder of the demo checkpoint and its sample dataset."""
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "Cascadia Mono", "Menlo", "Consolas", "monospace")


def build(app: EmbeddedApp) -> gr.Blocks:
    """Returns the whole page."""
    first, request = _demo_start() if _is_demo(app.host) else (Draft(), GenerateRequest(""))
    train = train_tab.build(app, app.host.samplers(), first)
    workbench = workbench_tab.build(app)
    picker, txt2img = CheckpointPicker(app.host), Txt2Img(app.host, request)
    with gr.Blocks(title=TITLE, theme=_theme(), analytics_enabled=False) as blocks:
        picker.lay_out()
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"):
                txt2img.lay_out()
            with gr.Tab(train_tab.TITLE, id="train_lora", elem_id="tab_train_lora"):
                train.render()
            with gr.Tab(workbench_tab.TITLE, id="lora_workbench", elem_id="tab_lora_workbench"):
                workbench.render()
        picker.connect(txt2img.controls["width"], txt2img.controls["height"])
    blocks.show_api = False
    return blocks


def _is_demo(host: Host) -> bool:
    path = host.checkpoint().path
    return path is not None and path.parent == DEMO


def _demo_start() -> tuple[Draft, GenerateRequest]:
    """What a first-time user finds: the sample dataset ready to train, and a prompt that the demo checkpoint knows."""
    request = GenerateRequest(
        "1girl, blonde hair, long hair, open eyes, smile, red shirt, blue background", steps=20, cfg=5.0, sampler="DDIM"
    )
    values = {
        "name": "zunko", "preview_prompts": goal_choice.PROMPTS["demo"],
        "preview_every_steps": 50, "preview_steps": request.steps, "preview_cfg": request.cfg,
        "preview_sampler": request.sampler,
    }
    return Draft("demo", {**values, **goal_choice.changes("demo", "", {"images": ""})}), request


def _theme() -> gr.themes.Base:
    """gradio's default look, tighter, with one accent and the system's fonts."""
    font = gr.themes.utils.fonts.Font
    return gr.themes.Default(
        primary_hue="orange", secondary_hue="orange", spacing_size="sm",
        font=[font(name) for name in _FONTS], font_mono=[font(name) for name in _MONO],
    ).set(
        button_primary_background_fill="#e8720c", button_primary_background_fill_hover="#f58a2c",
        button_primary_background_fill_dark="#d9690a", button_primary_background_fill_hover_dark="#ec7f22",
        button_primary_text_color="white", button_primary_text_color_dark="white",
        slider_color="#f07d1a", slider_color_dark="#f07d1a",
    )


def web_app(app: EmbeddedApp) -> FastAPI:
    """Returns page and API routes as one web application."""
    from fastapi import FastAPI

    from lib_trainer.api import routes

    web = FastAPI(title=TITLE, docs_url=None, redoc_url=None)
    # Before gradio, which answers every other path.
    web.include_router(routes.routes(app.jobs, app.host, _ROOT / "localizations"))
    scripts = [*sorted((_ROOT / "javascript").glob("*.js")), Path(__file__).parent / "embedded.js"]
    web.add_middleware(ServedHtml, scripts=scripts, styles=[_ROOT / "style.css"])
    return gr.mount_gradio_app(web, build(app).queue(), path="/", allowed_paths=[str(app.host.paths.outputs)])


def serve(app: EmbeddedApp, port: int, listen: bool) -> None:
    """Serves the page until the process is told to end; prints its address once it can be opened.

    Args:
        app: host and jobs.
        port: the first port to try; a WebUI may have it already.
        listen: whether other machines may open the page.

    Raises:
        UserError: no port is free.
    """
    import uvicorn

    address = "0.0.0.0" if listen else "127.0.0.1"
    listener = _listener(address, port)
    chosen = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(web_app(app), log_level="warning", timeout_graceful_shutdown=3))
    taken = f" (port {port} is taken)" if chosen != port else ""
    others = f", for other machines at http://{socket.gethostname()}:{chosen}" if listen else ""
    sys.stdout.write(f"The page is open at http://127.0.0.1:{chosen}{others}{taken}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl+C is how the page is closed; uvicorn has shut down by then
        server.run(sockets=[listener])


def _listener(address: str, port: int) -> socket.socket:
    """Returns a listening socket on the first free port; connections wait in it until the server is up."""
    for candidate in range(port, min(port + TRIED_PORTS, 65536)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform != "win32":  # there it would share a taken port; elsewhere it skips the wait after a restart
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, candidate))
            listener.listen(128)
            return listener
        except OSError:
            listener.close()
    last = port + TRIED_PORTS - 1
    raise UserError(f"No port from {port} to {last} is free on {address}: give another one with --port.")
