"""The host's lists: samplers, scripts, LoRA files."""
from __future__ import annotations

from typing import Any

from lib_trainer.errors import UserError


def samplers() -> list[str]:
    """Returns the names of the samplers that the host shows, its default first."""
    from modules import sd_samplers

    return list(sd_samplers.visible_sampler_names())


def sampler_and_scheduler(name: str) -> tuple[str, str]:
    """Returns the host's sampler and scheduler for a name; older names carry both ("DPM++ 2M Karras").

    Args:
        name: the sampler; "" = the host's default.

    Raises:
        UserError: the host has no such sampler.
    """
    from modules import sd_samplers

    sampler, scheduler = sd_samplers.get_sampler_and_scheduler(name or samplers()[0], None)
    if not (name or sampler).startswith(sampler):  # the host draws with its default when it does not know a name
        raise UserError(f"There is no sampler '{name}' here. There are: {', '.join(samplers())}.")
    return sampler, scheduler


def script_defaults(runner: Any) -> list[Any]:
    """Returns what the panels of the host's scripts start with, in the order of a generation's script arguments.

    The first one selects a script of the Script list: 0 = none of them.
    """
    longest = max((script.args_to or 0 for script in runner.scripts), default=1)
    values = [getattr(component, "value", None) for component in runner.inputs[:longest]]
    values += [None] * (longest - len(values))
    values[:1] = [0]
    return values


def refresh_loras() -> None:
    """Has the host read its LoRA folder again, so that tags and cards know a new file."""
    import networks

    networks.list_available_networks()
