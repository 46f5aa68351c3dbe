"""The one class of omegaconf that the original U-Net asks for, to tell a list of a `.yaml` from a number."""
from __future__ import annotations


class ListConfig(list):  # type: ignore[type-arg]
    pass
