"""A loaded model kept as a run wants it: another precision, 8-bit storage, another attention, parts in main memory.

Precision and storage change the weights, so they are made for the run and the checkpoint is read again afterwards;
what is only an arrangement (attention, places) is put back as it was.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from lib_trainer.hosts.standalone import attention, compiled, storage
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.keeping import Keeping, dtype_named


def dtype_for(keeping: Keeping, usual: torch.dtype) -> torch.dtype:
    """Returns the dtype of U-Net and text encoders; `usual` is the host's own."""
    return dtype_named(keeping.dtype) or usual


def obstacles(keeping: Keeping, device: torch.device, usual: torch.dtype) -> list[str]:
    """Returns what of the wishes cannot be had on this machine."""
    dtype = dtype_for(keeping, usual)
    found = attention.obstacles(keeping.attention, device, dtype)
    if keeping.compile:
        found += compiled.obstacles(device)
    return found


def remarks(keeping: Keeping, device: torch.device) -> list[str]:
    """Returns which of the wishes change nothing on this machine."""
    if keeping.offload and device.type == "cpu":
        return ["Offloading does nothing here: the model is in main memory already."]
    return []


def needs_rereading(loaded: LoadedModel, keeping: Keeping) -> bool:
    """Whether the weights in memory are too coarse for the wishes: what was rounded away is in the file only."""
    return dtype_for(keeping, loaded.compute_dtype).itemsize > loaded.compute_dtype.itemsize


def changes_weights(loaded: LoadedModel, keeping: Keeping) -> bool:
    """Whether the wishes need other weights than those in memory."""
    return keeping.storage != "auto" or dtype_for(keeping, loaded.compute_dtype) != loaded.compute_dtype


def converted(loaded: LoadedModel, keeping: Keeping) -> LoadedModel:
    """Returns the model with its weights as a run wants them; the networks are changed in place, for good."""
    dtype = dtype_for(keeping, loaded.compute_dtype)
    for network in (loaded.unet, *loaded.text.networks):
        network.to(dtype)
    if keeping.storage != "auto":
        storage.store(loaded.unet)
    if keeping.storage == "fp8":
        for network in loaded.text.networks:
            storage.store(network)
    return dataclasses.replace(loaded, compute_dtype=dtype)


@contextmanager
def arranged(loaded: LoadedModel, keeping: Keeping, fits: bool = True) -> Iterator[None]:
    """While open, attention and places are as a run wants them; what does not fit on the device is always offloaded."""
    with ExitStack() as stack:
        stack.enter_context(attention.chosen(loaded.unet, keeping.attention))
        if keeping.offload or not fits:
            stack.enter_context(loaded.placement.economy(fits))
        yield
