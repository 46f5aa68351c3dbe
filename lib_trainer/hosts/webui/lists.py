"""The host's lists: samplers and LoRA files."""
from __future__ import annotations


def samplers() -> list[str]:
    """Returns the names of the samplers that the host shows, its default first."""
    from modules import sd_samplers

    return list(sd_samplers.visible_sampler_names())


def refresh_loras() -> None:
    """Has the host read its LoRA folder again, so that tags and cards know a new file."""
    import networks

    networks.list_available_networks()
