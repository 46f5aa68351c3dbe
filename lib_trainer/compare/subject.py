"""What an analysis is about: one LoRA of a prompt, its strengths, and the blocks in which it has layers."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.blocks import tags, writing
from lib_trainer.blocks.layers import block_of, layer_names
from lib_trainer.blocks.layouts import ARCH_BLOCKS, ARCH_LABELS
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve
from lib_trainer.blocks.tags import Tag
from lib_trainer.errors import UserError
from lib_trainer.lora import file as lora_file

NO_PRESETS = Presets([], [], "")
"""No presets: the block weights of the tag under analysis are not read."""

_LEFT_OUT = ("lbwe",)
"""Keywords of a tag that would act over the weights that an analysis sets."""


@dataclass(frozen=True)
class Subject:
    """A LoRA under analysis.

    Attributes:
        name: as its tags name it. file: its file.
        prompt: the whole prompt, with tags; the LoRA's own is in it.
        arch: "sd15" or "sdxl".
        layers: kohya layer names of the file.
        strengths: what its tags ask for without block weights; those of several tags added up.
        told: sentences about what of the tags is left out of the analysis.
    """

    name: str
    file: Path
    prompt: str
    arch: str
    layers: tuple[str, ...]
    strengths: Weights
    told: tuple[str, ...] = ()

    @property
    def present(self) -> tuple[str, ...]:
        """The blocks in which the LoRA has layers, in the order of the layout."""
        return _blocks(self.layers, self.arch)

    @property
    def loose(self) -> int:
        """How many of its layers lie in no block, so that block weights never touch them."""
        return sum(block_of(layer, self.arch) is None for layer in self.layers)

    @property
    def caption(self) -> str:
        """The prompt without tags."""
        return tags.split(self.prompt)[0].strip()

    def multipliers(self, ratios: Mapping[str, float] | None, layers: Sequence[str] | None = None) -> dict[str, float]:
        """Returns the strength of every layer.

        Args:
            ratios: the weight of every block; None = all 1.
            layers: layer names; None = those of the file.
        """
        weights = dataclasses.replace(self.strengths, ratios=None if ratios is None else dict(ratios))
        return multipliers(weights, self.layers if layers is None else layers, self.arch)

    def change(self, ratios: Mapping[str, float]) -> Weighed:
        """Returns what makes the prompt of these block weights."""
        return Weighed(self.name, writing.numbers(ratios, self.arch))


@dataclass(frozen=True)
class Weighed:
    """Gives the tags of one LoRA block weights, and takes out of them what would act over these; a `Change`.

    Attributes:
        name: the LoRA's name in its tags. weights: as a tag takes them.
    """

    name: str
    weights: str

    def __call__(self, prompt: str) -> str:
        """Returns the changed prompt; other tags stay."""
        return tags.rewritten(prompt, self._write)

    def _write(self, tag: Tag) -> str:
        is_own = tag.is_lora and tag.name == self.name
        return str(_bare(tag).with_weights(self.weights)) if is_own else tag.text


def subject(prompt: str, name: str, file: Path, arch: str) -> Subject:
    """Returns what is to be analysed.

    Args:
        prompt: a prompt; a tag of the LoRA is added at its end when there is none.
        name: the LoRA's name in tags.
        file: its file.
        arch: "sd15" or "sdxl".

    Raises:
        UserError: the file cannot be read or has no layer in a block, or the strength is 0.
    """
    own = [tag for tag in tags.split(prompt)[1] if tag.is_lora and tag.name == name]
    if not own:
        prompt = f"{prompt} <lora:{name}:1>".strip()
        own = [tag for tag in tags.split(prompt)[1] if tag.is_lora and tag.name == name]
    layers = tuple(layer_names(lora_file.read_header(file)[0]))
    read = [resolve(_tag_of(_bare(tag).with_weights(None)), NO_PRESETS, arch) for tag in own]
    found = Subject(name, file, prompt, arch, layers, _added(read), tuple(_told(own)))
    if not found.present:
        raise UserError(f"The LoRA '{name}' has no layer in any block of {ARCH_LABELS[arch]}: load a checkpoint of its "
                        "family, or choose another LoRA.")
    if not found.strengths.te and not found.strengths.unet:
        raise UserError(f"The LoRA '{name}' has strength 0 in this prompt, so no block can do anything: write 1.")
    return found


def blocks_of(file: Path, arch: str) -> tuple[str, ...]:
    """Returns the blocks in which a LoRA file has layers, in the order of the layout.

    Raises:
        UserError: the file cannot be read.
    """
    return _blocks(layer_names(lora_file.read_header(file)[0]), arch)


def _blocks(layers: Iterable[str], arch: str) -> tuple[str, ...]:
    found = {block_of(layer, arch) for layer in layers}
    return tuple(block for block in ARCH_BLOCKS[arch] if block in found)


def with_weights(prompt: str, name: str, weights: str) -> str:
    """Returns the prompt whose tags of this LoRA carry block weights; a tag is added at its end when there is none.

    Args:
        weights: as a tag takes them: a preset's name, a list, a number.
    """
    found = False

    def write(tag: Tag) -> str:
        nonlocal found
        if not tag.is_lora or tag.name != name:
            return tag.text
        found = True
        return str(writing.Parts.of(tag).with_weights(weights))

    text = tags.rewritten(prompt, write)
    return text if found else f"{text} <lora:{name}:1:lbw={weights}>".strip()


def lora_names(prompt: str) -> list[str]:
    """Returns the LoRAs that a prompt names, each once."""
    return list(dict.fromkeys(tag.name for tag in tags.split(prompt)[1] if tag.is_lora and tag.name))


def _bare(tag: Tag) -> writing.Parts:
    parts = writing.Parts.of(tag)
    return dataclasses.replace(
        parts, others={key: value for key, value in parts.others.items() if key not in _LEFT_OUT})


def _tag_of(parts: writing.Parts) -> Tag:
    return tags.split(str(parts))[1][0]


def _added(read: Sequence[Weights]) -> Weights:
    te, unet = sum(one.te for one in read), sum(one.unet for one in read)
    return dataclasses.replace(read[0], te=te, unet=unet, ratios=None)


def _told(own: Sequence[Tag]) -> list[str]:
    """Tells what of the tags does not act during the analysis."""
    parts = [writing.Parts.of(tag) for tag in own]
    named = {"block weights": any(part.weights for part in parts),
             "elemental rules": any(key in part.others for part in parts for key in _LEFT_OUT)}
    left = " and ".join(words for words, given in named.items() if given)
    return [f"The {left} of the tag do not act in the analysis: every block is examined from its full weight."
            ] if left else []
