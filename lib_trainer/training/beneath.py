"""LoRAs beneath the one that is trained: they act, at a strength each, and do not learn.

They join the model as the trained one does, by hooks, so the host's weights are never touched; the trained LoRA learns
what they leave to be learned, and is used together with them.
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.blocks.values import Unreadable, looks_like_number, read_number
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.host_model import HostModel, Target
from lib_trainer.lora import file, loaded
from lib_trainer.lora.finding import find_lora
from lib_trainer.lora.loaded import LoadedNetwork

_BETWEEN = re.compile(r'[,\n](?=(?:[^"]*"[^"]*")*[^"]*$)')
"""Commas and line ends that stand outside quotes."""


@dataclass(frozen=True)
class Beneath:
    """One of them: the network and the strength of every layer of it."""

    network: LoadedNetwork
    strength: float

    @property
    def factors(self) -> dict[str, float]:
        """The strength by layer name."""
        return dict.fromkeys(self.network.layers, self.strength)


def parse(text: str) -> list[tuple[str, float]]:
    """Reads `name:0.8, other`: names (or files) with strengths; without one it is 1.

    A name with commas or line ends stands in quotes: `"a, b":0.8`.

    Raises:
        UserError: a strength cannot be read, or a name is missing.
    """
    found = []
    for piece in filter(None, (part.strip() for part in _BETWEEN.split(text))):
        name, colon, written = piece.rpartition(":")
        if not colon or not looks_like_number(written.strip()):
            name, written = piece, "1"
        try:
            found.append((_bare(name.strip()), read_number(written.strip())))
        except Unreadable as fault:
            raise UserError(f"base_loras = {text!r}: {fault}. Write NAME:STRENGTH, such as style:0.8.") from None
        if not _bare(name.strip()):
            raise UserError(f"base_loras = {text!r}: '{piece}' has no name. Write NAME:STRENGTH, such as style:0.8.")
    return found


def _bare(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def load(text: str, host: Host, model: HostModel) -> tuple[list[Beneath], list[str]]:
    """Loads them for a model, inside a turn.

    Returns:
        The networks, on the model's device, and a sentence for each that has tensors without a place.

    Raises:
        UserError: one is missing, damaged or fits no layer.
    """
    members, told = [], []
    for name, strength in parse(text):
        path = find_lora(name, host)
        if path is None:
            raise UserError(f"base_loras: the LoRA {name!r} has vanished; choose another one.")
        member, unmatched = of_file(path, strength, model)
        members.append(member)
        if unmatched:
            told.append(f"{len(unmatched)} tensors of {name!r} have no place in this model and do not act, such as "
                        f"{unmatched[0]}.")
    return members, told


def of_file(path: Path, strength: float, model: HostModel) -> tuple[Beneath, list[str]]:
    """Loads a file for a model, inside a turn; returns it and the names of tensors that have no place.

    Raises:
        UserError: it is damaged or fits no layer.
    """
    targets = [*model.targets(), *model.other_targets()]
    network, unmatched = loaded.from_state(targets, file.load(path).tensors)
    return Beneath(network.to(model.device, model.compute_dtype), strength), unmatched


@contextmanager
def attached(members: Sequence[Beneath], targets: Sequence[Target]) -> Iterator[None]:
    """While open, they act on the model."""
    with ExitStack() as stack:
        for member in members:
            stack.enter_context(member.network.attached(targets, member.factors))
        yield
