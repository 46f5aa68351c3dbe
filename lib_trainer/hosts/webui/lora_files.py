"""The WebUIs' own list of LoRA files, as their built-in extension keeps it."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def unknown(names: Sequence[str]) -> list[str]:
    """Returns those of the names that no LoRA file has, in their order; the folder is read anew for them."""
    missing = [name for name in names if _entry(name) is None]
    if missing:
        import networks

        networks.list_available_networks()
        missing = [name for name in missing if _entry(name) is None]
    return missing


def names() -> list[str]:
    """Returns the names of the LoRA files in the host's list, sorted."""
    import networks

    return sorted(networks.available_networks, key=str.lower)


def file_of(name: str) -> Path | None:
    """Returns the file of a LoRA of the host's list, by a name as in a tag; None where there is none."""
    entry = _entry(name)
    return None if entry is None else Path(entry.filename)  # type: ignore[attr-defined]


def _entry(name: str) -> object | None:
    """Finds a LoRA as the host does: an alias that two files share counts for neither."""
    import networks

    if name.lower() in networks.forbidden_network_aliases:
        return networks.available_networks.get(name)
    return networks.available_network_aliases.get(name)


def matched(wanted: Sequence[str], loaded: Sequence[object]) -> dict[int, int]:
    """Finds the loaded networks of a prompt's LoRAs.

    A file that cannot be read is missing among the loaded ones, and a LoRA from the settings follows at their end.

    Args:
        wanted: names in the order in which the host got them.
        loaded: the host's loaded networks.

    Returns:
        place among the loaded by place among the wanted.
    """
    places: dict[int, int] = {}
    at = 0
    for position, name in enumerate(wanted):
        if at < len(loaded) and getattr(loaded[at], "mentioned_name", None) == name:
            places[position] = at
            at += 1
    return places


def path_of(network: object) -> Path:
    """Returns the file of a loaded network."""
    return Path(network.network_on_disk.filename)  # type: ignore[attr-defined]


def without_effect(name: str) -> str:
    """Says that a LoRA changes nothing on the loaded checkpoint."""
    return f"LoRA '{name}' has no layer that fits this checkpoint, so it has no effect: it was made for another kind."
