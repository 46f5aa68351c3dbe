"""LoRAs in the embedded host's generation: found by name, kept in memory, attached while a picture is drawn.

A tag's strengths and block ratios become one multiplier per layer (see `lib_trainer.blocks`); networks are hooked on,
never merged, so another preset is another set of numbers. A LoRA that cannot be used never stops the picture: it is
drawn without it and the person is told in the picture's comments.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.blocks import tags
from lib_trainer.blocks.multipliers import multipliers
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import resolve
from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME
from lib_trainer.hosts.standalone.loader import LoadedModel
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import network as lora_network

KEPT = 8
"""Networks kept in memory, the least recently used leaves first."""


@dataclass(frozen=True)
class Entry:
    """A LoRA made ready for a model: its network, and what did not fit."""

    network: lora_network.Network
    digest: str
    comments: list[str]


@dataclass
class Applied:
    """What a prompt's tags came to.

    Attributes:
        text: the prompt without tags. comments: what the person must be told. hashes: LoRA name -> short hash.
    """

    text: str
    comments: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)


class LoraShelf:
    """The LoRA folder of the host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[tuple[object, ...], Entry] = OrderedDict()

    def names(self) -> list[str]:
        """Returns the names that tags can use, sorted; the folder is read anew."""
        return sorted({path.stem for path in self._files()}, key=str.lower)

    def find(self, name: str) -> Path | None:
        """Returns the file of a LoRA: by its name, by its path below the folder, else by name in any case."""
        files = self._files()
        relative = {path.relative_to(self._folder).with_suffix("").as_posix(): path for path in files}
        for matches in (
            [path for path in files if path.stem == name],
            [relative[name]] if name in relative else [],
            [path for path in files if path.stem.lower() == name.lower()],
        ):
            if matches:
                return matches[0]
        return None

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.rglob("*.safetensors") if path.is_file())

    def entry(self, path: Path, model: LoadedModel) -> Entry:
        """Returns a file's network for a model, from memory while neither has changed.

        Raises:
            UserError: not a LoRA, or not for this model.
        """
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size, model.identity, model.device, model.compute_dtype)
        if key not in self._kept:
            self._kept[key] = _load(path, model)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def forget(self) -> None:
        """Drops all networks, for instance when the model is changed."""
        self._kept.clear()

    @contextmanager
    def applied(self, prompt: str, model: LoadedModel, presets: Presets) -> Iterator[Applied]:
        """Attaches the LoRAs that a prompt names while open.

        The same LoRA named twice acts with the sum of its strengths.
        """
        text, found = tags.split(prompt)
        result = Applied(text)
        strengths: dict[str, tuple[Entry, dict[str, float]]] = {}
        for tag in found:
            if not tag.is_lora:
                result.comments.append(f"'{tag.text}' was left out: only LoRA tags are known here.")
            elif tag.name != TRAINING_NAME:  # the adapters in training are attached by whoever trains them
                self._add(tag, model, presets, strengths, result)
        with ExitStack() as stack:
            for entry, factors in strengths.values():
                stack.enter_context(entry.network.attached(model.targets, factors))
            yield result

    def _add(
        self, tag: tags.Tag, model: LoadedModel, presets: Presets,
        strengths: dict[str, tuple[Entry, dict[str, float]]], result: Applied,
    ) -> None:
        arch = model.checkpoint.family.arch
        weights = resolve(tag, presets, arch)
        result.comments += [*weights.errors, *weights.warnings]
        path = self.find(weights.name)
        if path is None:
            result.comments.append(f"There is no LoRA '{weights.name}' in '{self._folder}': drawn without it.")
            return
        try:
            entry = self.entry(path, model)
        except UserError as error:
            result.comments.append(f"LoRA '{weights.name}' was left out: {error}")
            return
        factors = multipliers(weights, entry.network.layers, arch)
        if weights.name in strengths:
            before = strengths[weights.name][1]
            factors = {name: factor + before[name] for name, factor in factors.items()}
        else:
            result.comments += [f"LoRA '{weights.name}': {comment}" for comment in entry.comments]
        strengths[weights.name] = (entry, factors)
        result.hashes[weights.name] = entry.digest


def _load(path: Path, model: LoadedModel) -> Entry:
    loaded = lora_file.load(path)
    network, unmatched = lora_network.from_state(model.targets, loaded.tensors)
    network.requires_grad_(False).to(model.device, model.compute_dtype)
    comments = [f"{len(unmatched)} of its {len(loaded.tensors)} tensors have no place in this checkpoint "
                f"(such as '{unmatched[0]}')."] if unmatched else []
    return Entry(network, loaded.metadata.get("sshs_model_hash", "")[:12], comments)
