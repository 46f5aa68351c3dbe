"""Double of the WebUIs' scripts: always-on scripts and the hooks of a generation."""
from __future__ import annotations

from typing import Any

AlwaysVisible = object()
HOOKS = ("before_process", "process", "before_process_batch", "after_extra_networks_activate", "process_batch",
         "postprocess_batch", "postprocess_image", "postprocess")


class PostprocessImageArgs:
    def __init__(self, image: Any, index: int = 0) -> None:
        self.image, self.index = image, index


class Script:
    name: str | None = None
    section: str | None = None
    setup_for_ui_only = False
    args_from: int | None = None
    args_to: int | None = None
    alwayson = False
    is_txt2img = True
    is_img2img = False
    infotext_fields: Any = None
    paste_field_names: Any = None
    controls: Any = None

    def title(self) -> str:
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any:
        pass

    def show(self, is_img2img: bool) -> Any:
        return True

    def setup(self, p: Any, *args: Any) -> None:
        pass


class ScriptRunner:
    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.selectable_scripts: list[Script] = []
        self.alwayson_scripts: list[Script] = []
        self.inputs: list[Any] = [None]

    def add(self, script: Script, *controls: Any) -> Script:
        """Takes in an always-on script and the controls of its panel (not part of the real class)."""
        script.args_from = len(self.inputs)
        self.inputs += controls
        script.args_to = len(self.inputs)
        script.alwayson = True
        self.scripts.append(script)
        self.alwayson_scripts.append(script)
        return script

    def setup_scrips(self, p: Any, *, is_ui: bool = True) -> None:
        for script in self.alwayson_scripts:
            if is_ui or not script.setup_for_ui_only:
                script.setup(p, *p.script_args[script.args_from:script.args_to])

    def _tell(self, hook: str, p: Any, *args: Any, **kwargs: Any) -> None:
        for script in self.alwayson_scripts:
            method = getattr(script, hook, None)
            if method is not None:
                method(p, *args, *p.script_args[script.args_from:script.args_to], **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name not in HOOKS:
            raise AttributeError(name)
        return lambda p, *args, **kwargs: self._tell(name, p, *args, **kwargs)


scripts_data: list[Any] = []
scripts_txt2img = ScriptRunner()
scripts_img2img = ScriptRunner()
