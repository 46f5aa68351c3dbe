"""Double of AUTOMATIC1111's LoRA kind of network: up times down."""
from __future__ import annotations

from typing import Any

import network


class NetworkModuleLora(network.NetworkModule):
    def __init__(self, net: network.Network, weights: network.NetworkWeights) -> None:
        super().__init__(net, weights)
        self.up, self.down = weights.w["lora_up.weight"], weights.w["lora_down.weight"]
        self.dim = self.down.shape[0]

    def calc_updown(self, orig_weight: Any) -> tuple[Any, Any]:
        updown = self.up.flatten(1).to(orig_weight.dtype) @ self.down.flatten(1).to(orig_weight.dtype)
        return self.finalize_updown(updown, orig_weight, orig_weight.shape)
