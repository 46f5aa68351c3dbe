"""Double of Forge's `<lora:...>`: reads the tags' numbers and has the networks loaded."""
from __future__ import annotations

from typing import Any

import networks
from modules import extra_networks


class ExtraNetworkLora(extra_networks.ExtraNetwork):
    def __init__(self) -> None:
        super().__init__("lora")

    def activate(self, p: Any, params_list: list[Any]) -> None:
        names, te, unet = [], [], []
        for params in params_list:
            names.append(params.positional[0])
            strength = float(params.positional[1]) if len(params.positional) > 1 else 1.0
            te.append(float(params.named.get("te", strength)))
            unet.append(float(params.named.get("unet", params.positional[2] if len(params.positional) > 2 else te[-1])))
        networks.load_networks(names, te, unet, [None] * len(names))

    def deactivate(self, p: Any) -> None:
        pass
