"""Double of the WebUIs' list of samplers."""
from __future__ import annotations

from types import SimpleNamespace

_SCHEDULERS = ("Automatic", "Karras", "Exponential")
samplers = [SimpleNamespace(name=name) for name in ("DPM++ 2M", "Euler a", "Euler")]
all_samplers_map = {sampler.name: sampler for sampler in samplers}


def visible_samplers() -> list[SimpleNamespace]:
    return samplers


def visible_sampler_names() -> list[str]:
    return [sampler.name for sampler in samplers]


def get_sampler_and_scheduler(
    sampler_name: str | None, scheduler_name: str | None, *, convert_automatic: bool = True
) -> tuple[str, str]:
    """An unknown sampler becomes the first one, as in the real module."""
    name, scheduler = sampler_name or samplers[0].name, scheduler_name or _SCHEDULERS[0]
    for label in _SCHEDULERS:
        if name.endswith(f" {label}"):
            name, scheduler = name.removesuffix(f" {label}"), label
    return (name if name in all_samplers_map else samplers[0].name), scheduler
