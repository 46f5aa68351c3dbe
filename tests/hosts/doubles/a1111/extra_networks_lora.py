"""Double of AUTOMATIC1111's `<lora:...>` in prompts."""
from __future__ import annotations

from typing import Any

import networks
from modules import extra_networks


class ExtraNetworkLora(extra_networks.ExtraNetwork):
    def __init__(self) -> None:
        super().__init__("lora")
        self.errors: dict[str, int] = {}

    def activate(self, p: Any, params_list: list[Any]) -> None:
        te = [float(params.named.get("te", (params.positional[1:2] or [1.0])[0])) for params in params_list]
        unet = [float(params.named.get("unet", (params.positional[2:3] or [strength])[0]))
                for params, strength in zip(params_list, te, strict=True)]
        networks.load_networks([params.positional[0] for params in params_list], te, unet, [None] * len(params_list))

    def deactivate(self, p: Any) -> None:
        self.errors.clear()
