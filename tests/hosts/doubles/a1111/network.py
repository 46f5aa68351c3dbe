"""Double of AUTOMATIC1111's records of a network (a LoRA file): on disk, loaded, and one layer's part of it."""
from __future__ import annotations

import os
from collections import namedtuple
from typing import Any

NetworkWeights = namedtuple("NetworkWeights", ["network_key", "sd_key", "w", "sd_module"])


class NetworkOnDisk:
    def __init__(self, name: str, filename: str) -> None:
        self.name = self.alias = name
        self.filename = filename
        self.metadata: dict[str, str] = {}
        self.hash = self.shorthash = ""

    def read_hash(self) -> None:
        pass


class Network:
    def __init__(self, name: str, network_on_disk: NetworkOnDisk) -> None:
        self.name = name
        self.network_on_disk = network_on_disk
        self.te_multiplier = self.unet_multiplier = 1.0
        self.dyn_dim: int | None = None
        self.modules: dict[str, NetworkModule] = {}
        self.bundle_embeddings: dict[str, Any] = {}
        self.mtime = os.path.getmtime(network_on_disk.filename)
        self.mentioned_name: str | None = None


class NetworkModule:
    def __init__(self, net: Network, weights: NetworkWeights) -> None:
        self.network = net
        self.network_key, self.sd_key, self.sd_module = weights.network_key, weights.sd_key, weights.sd_module
        self.alpha = weights.w["alpha"].item() if "alpha" in weights.w else None
        self.dim: int | None = None

    def multiplier(self) -> float:
        return self.network.te_multiplier if "transformer" in self.sd_key[:20] else self.network.unet_multiplier

    def calc_scale(self) -> float:
        return self.alpha / self.dim if self.dim is not None and self.alpha is not None else 1.0

    def finalize_updown(self, updown: Any, orig_weight: Any, output_shape: Any, ex_bias: Any = None) -> tuple[Any, Any]:
        return updown.reshape(output_shape) * self.calc_scale() * self.multiplier(), ex_bias

    def calc_updown(self, target: Any) -> tuple[Any, Any]:
        raise NotImplementedError
