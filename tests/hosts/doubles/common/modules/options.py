"""Double of the WebUIs' settings."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

DEFAULTS: dict[str, Any] = {
    "sd_model_checkpoint": None, "sd_vae": "Automatic", "CLIP_stop_at_last_layers": 1, "persistent_cond_cache": True,
    "samples_save": True, "outdir_samples": "", "live_previews_enable": True, "lora_functional": False,
    "return_grid": True, "grid_save": True, "grid_format": "png", "grid_extended_filename": False,
    "enable_pnginfo": True, "return_mask": False, "return_mask_composite": False,
}


class OptionInfo:
    def __init__(self, default: Any = None, label: str = "", component: Any = None, component_args: Any = None,
                 onchange: Callable[[], None] | None = None, section: Any = None, refresh: Any = None,
                 comment_before: str = "", comment_after: str = "", infotext: str | None = None,
                 restrict_api: bool = False, category_id: str | None = None) -> None:
        self.default, self.label, self.component, self.component_args = default, label, component, component_args
        self.onchange, self.section, self.refresh, self.infotext = onchange, section, refresh, infotext
        self.comment_before, self.comment_after = comment_before, comment_after
        self.restrict_api, self.category_id = restrict_api, category_id
        self.do_not_save = False

    def html(self, html: str) -> OptionInfo:
        self.comment_after += html
        return self

    def info(self, info: str) -> OptionInfo:
        self.comment_after += f" ({info})"
        return self


class Options:
    def __init__(self, data_labels: dict[str, OptionInfo], restricted_opts: set[str]) -> None:
        vars(self).update(data_labels=data_labels, restricted_opts=restricted_opts,
                          data={key: info.default for key, info in data_labels.items()})

    def __getattr__(self, item: str) -> Any:
        if item in vars(self)["data"]:
            return vars(self)["data"][item]
        raise AttributeError(item)

    def __setattr__(self, key: str, value: Any) -> None:
        self.data[key] = value

    def set(self, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        if self.data.get(key) == value:
            return False
        self.data[key] = value
        onchange = self.data_labels[key].onchange
        if run_callbacks and onchange is not None:
            onchange()
        return True

    def get_default(self, key: str) -> Any:
        return self.data_labels[key].default if key in self.data_labels else None

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)

    def onchange(self, key: str, func: Callable[[], None], call: bool = True) -> None:
        self.data_labels[key].onchange = func
        if call:
            func()

    def save(self, filename: str) -> None:
        pass
