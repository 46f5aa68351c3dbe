"""Double of what the WebUIs' modules share."""
from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from modules import options, paths_internal, shared_state
from modules.options import OptionInfo, Options

cmd_opts = SimpleNamespace(
    lora_dir=os.path.join(paths_internal.models_path, "Lora"), no_prompt_history=False, api=False,
    api_auth=None, nowebui=False,
    freeze_settings=False, embeddings_dir=os.path.join(paths_internal.data_path, "embeddings"),
)
opts = Options({key: OptionInfo(default) for key, default in options.DEFAULTS.items()}, set())
state = shared_state.State()
hypernetworks: dict[str, str] = {}
loaded_hypernetworks: list[Any] = []
sd_upscalers: list[Any] = []
device = "cpu"
parallel_processing_allowed = True
settings_components: dict[str, Any] = {}


class _Styles:
    def apply_styles_to_prompt(self, prompt: str, styles: list[str]) -> str:
        return ", ".join([prompt, *styles])

    def apply_negative_styles_to_prompt(self, prompt: str, styles: list[str]) -> str:
        return prompt


prompt_styles = _Styles()
total_tqdm = SimpleNamespace(clear=lambda: None, updateTotal=lambda total: None)


def __getattr__(name: str) -> Any:
    """The model, as the real module gives it: whatever `sd_models` has loaded."""
    if name == "sd_model":
        from modules import sd_models

        return sd_models.model_data.get_sd_model()
    raise AttributeError(name)
