"""Double of the WebUIs' callbacks: who is called when the page is built or the program ends."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any


class CFGDenoiserParams:
    def __init__(self, x: Any, image_cond: Any, sigma: Any, sampling_step: Any, total_sampling_steps: Any,
                 text_cond: Any, text_uncond: Any, denoiser: Any = None) -> None:
        self.x, self.image_cond, self.sigma = x, image_cond, sigma
        self.sampling_step, self.total_sampling_steps = sampling_step, total_sampling_steps
        self.text_cond, self.text_uncond, self.denoiser = text_cond, text_uncond, denoiser


callback_map: dict[str, list[Callable[..., Any]]] = defaultdict(list)


def on_before_ui(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["before_ui"].append(callback)


def on_ui_tabs(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["ui_tabs"].append(callback)


def on_ui_settings(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["ui_settings"].append(callback)


def on_app_started(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["app_started"].append(callback)


def on_script_unloaded(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["script_unloaded"].append(callback)


def on_model_loaded(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["model_loaded"].append(callback)


def on_infotext_pasted(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["infotext_pasted"].append(callback)


def on_cfg_denoiser(callback: Callable[..., Any], *, name: str | None = None) -> None:
    callback_map["cfg_denoiser"].append(callback)


def cfg_denoiser_callback(params: CFGDenoiserParams) -> None:
    for callback in callback_map["cfg_denoiser"]:
        callback(params)
