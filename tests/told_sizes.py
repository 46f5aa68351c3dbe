"""What SDXL's U-Net in the embedded host is told of pictures' sizes."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lib_trainer.hosts.standalone.host import StandaloneHost


@contextmanager
def told_sizes(host: StandaloneHost) -> Iterator[list[list[float]]]:
    """While open, gathers the size ids of every prediction."""
    found: list[list[float]] = []

    def look(unet: torch.nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.extend(named["added_cond_kwargs"]["time_ids"].tolist())

    handle = host._loaded.unet.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield found
    finally:
        handle.remove()
