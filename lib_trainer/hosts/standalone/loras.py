"""LoRAs in the embedded host's generation: found by name, kept in memory, attached while a picture is drawn.

A tag's strengths and block ratios become one multiplier per layer (see `lib_trainer.blocks`); networks are hooked on,
never merged, so another preset is another set of numbers. A LoRA that cannot be used never stops the picture: it is
drawn without it and the person is told in the picture's comments.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.blocks import tags
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.blocks.resolve import Weights, resolve_all
from lib_trainer.errors import UserError
from lib_trainer.host import TRAINING_NAME, LiveNetwork
from lib_trainer.hosts.standalone.acting import Acting
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.lora import file as lora_file
from lib_trainer.lora import loaded as loaded_loras

KEPT = 8
"""Networks kept in memory, the least recently used leaves first."""


@dataclass(frozen=True)
class Entry:
    """A LoRA made ready for a model: its network, and what did not fit."""

    network: loaded_loras.LoadedNetwork
    digest: str
    comments: list[str]


@dataclass(frozen=True)
class Live:
    """The adapters in training.

    Attributes:
        network: the adapters. identity: of the checkpoint that they are trained on.
        attached: whether whoever trains them has attached them already (previews).
    """

    network: LiveNetwork
    identity: Hashable
    attached: bool = False


@dataclass(frozen=True)
class Meanings:
    """What names in tags stand for: the files as they are when a generation begins."""

    presets: Presets
    elements: Elements


@dataclass
class Applied:
    """What a prompt's tags came to.

    Attributes:
        text: the prompt without tags. comments: what the person must be told. hashes: LoRA name -> short hash.
        weights: of the tags that act. acting: their networks.
    """

    text: str
    acting: Acting
    comments: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    weights: list[Weights] = field(default_factory=list)

    def add(self, weights: Weights, network: LiveNetwork) -> None:
        """Takes in what a tag asks of a network."""
        self.weights.append(weights)
        self.acting.add(weights, network)


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
    def applied(
        self, prompt: str, model: LoadedModel, meanings: Meanings, seed: int, live: Live | None = None
    ) -> Iterator[Applied]:
        """Attaches the LoRAs that a prompt names while open.

        The same LoRA named twice acts with the sum of its strengths.

        Args:
            seed: of the batch's first picture; it decides random block weights.
        """
        arch = model.checkpoint.family.arch
        text, found = tags.split(prompt)
        result = Applied(text, Acting(arch))
        every = resolve_all(found, meanings.presets, arch, meanings.elements, seed)
        for tag, weights in zip(found, every, strict=True):
            if not tag.is_lora:
                result.comments.append(f"'{tag.text}' was left out: only LoRA tags are known here.")
                continue
            result.comments += [*weights.errors, *weights.warnings]
            if tag.name == TRAINING_NAME:
                _add_live(live, weights, model, result)
            else:
                self._add(weights, model, result)
        for entry in self._kept.values():
            if not result.acting.uses(entry.network):
                entry.network.forget()  # big matrices stay in memory for another preset, not for another prompt
        with result.acting.attached(model.loadable):
            yield result

    def _add(self, weights: Weights, model: LoadedModel, result: Applied) -> None:
        path = self.find(weights.name)
        if path is None:
            result.comments.append(f"There is no LoRA '{weights.name}' in '{self._folder}': drawn without it.")
            return
        try:
            entry = self.entry(path, model)
        except UserError as error:
            result.comments.append(f"LoRA '{weights.name}' was left out: {error}")
            return
        if weights.name not in result.hashes:
            result.comments += [f"LoRA '{weights.name}': {comment}" for comment in entry.comments]
        result.add(weights, entry.network)
        result.hashes[weights.name] = entry.digest


def _add_live(live: Live | None, weights: Weights, model: LoadedModel, result: Applied) -> None:
    if live is None:
        result.comments.append(f"'{TRAINING_NAME}' was left out: no LoRA is being trained now.")
    elif live.identity != model.identity:
        result.comments.append(f"'{TRAINING_NAME}' was left out: it is being trained on another checkpoint.")
    elif not live.attached:
        result.add(weights, live.network)


def _load(path: Path, model: LoadedModel) -> Entry:
    loaded = lora_file.load(path)
    network, unmatched = loaded_loras.from_state(model.loadable, loaded.tensors)
    network.to(model.device, model.compute_dtype)
    comments = [f"{len(unmatched)} of its {len(loaded.tensors)} tensors have no place in this checkpoint "
                f"(such as '{unmatched[0]}')."] if unmatched else []
    return Entry(network, loaded.metadata.get("sshs_model_hash", "")[:12], comments)
