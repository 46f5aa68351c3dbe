"""Which of a run's wishes for the model in memory a WebUI can meet: the model is the host's, and stays as it is.

Precision is met by casting on the fly. 8-bit storage is the host's own option; the run only needs it to be on. Where
networks rest is the host's business too: two of the three programs move them by themselves when memory is short.
"""
from __future__ import annotations

from lib_trainer.hosts.webui.backend import Backend
from lib_trainer.keeping import Keeping


def obstacles(keeping: Keeping, backend: Backend) -> list[str]:
    """Returns a sentence for every wish that cannot be met."""
    found = []
    if keeping.storage != "auto" and backend.stores_in_fp8() is False:
        found.append(f"base_precision = '{keeping.storage}': {backend.name} has the checkpoint in memory in more than "
                     f"8 bits, and its weights are not touched. {backend.fp8_option}")
    if keeping.attention != "auto":
        found.append(f"attention = '{keeping.attention}': {backend.name} chooses its attention itself. Set attention "
                     f"to auto, and choose in {backend.name}'s own settings or start options.")
    if keeping.compile:
        found.append(f"compile = True: the U-Net belongs to {backend.name} and cannot be compiled for a run. Switch it "
                     "off, or train on the embedded host.")
    return found


def remarks(keeping: Keeping, backend: Backend) -> list[str]:
    """Returns a sentence for every wish that changes nothing."""
    if not keeping.offload:
        return []
    if backend.moves_networks:
        return [f"Offloading is up to {backend.name}, which moves networks by itself when memory is short."]
    return [f"Offloading does nothing in {backend.name}: it keeps all networks where they are. 8-bit storage and "
            "gradient checkpointing save memory there."]
