"""What names mean: on the command line they are paths, in a host the names of its LoRAs and checkpoints.

In a host a person may read what training reads too, any file by its path, but new files go into the host's own folders
only, under a plain name; nothing is ever written over.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from lib_trainer.blocks import elements, presets
from lib_trainer.blocks.elements import Elements
from lib_trainer.blocks.presets import Presets
from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Host
from lib_trainer.lora import whole
from lib_trainer.lora.finding import SUFFIX, find_lora, name_faults
from lib_trainer.workbench.forms.words import LABELS, OPTIONS, Words


class Places(Protocol):
    """Where an operation finds what it is told by name, and may write; and what the person calls its fields."""

    @property
    def words(self) -> Words:
        """How faults speak of fields."""

    def lora(self, text: str) -> Path:
        """The LoRA file of that name; raises UserError where there is none."""

    def checkpoint(self, text: str) -> Path:
        """The checkpoint file of that name; raises UserError where there is none."""

    def lora_or_folder(self, text: str) -> Path:
        """The LoRA file, or folder of LoRAs, of that name; raises UserError where there is none."""

    def new_lora(self, text: str) -> Path:
        """The file of a new LoRA; raises UserError where the name is taken or cannot be one."""

    def new_checkpoint(self, text: str) -> Path:
        """The file of a new checkpoint; raises UserError likewise."""

    def new_folder(self, text: str) -> Path:
        """The folder of new LoRAs, which may be there; raises UserError where the name cannot be one."""

    def presets(self) -> Presets:
        """The block presets."""

    def elements(self) -> Elements:
        """The elemental rules."""

    def device(self, asked: str) -> str:
        """The device for an operation that was asked to use "auto", "cpu" or a GPU."""


@dataclass(frozen=True)
class FilePlaces:
    """The command line: names are paths.

    Attributes:
        presets_file, elements_file: None = the shipped ones.
    """

    presets_file: Path | None = None
    elements_file: Path | None = None
    words: ClassVar[Words] = OPTIONS

    def lora(self, text: str) -> Path:
        """The file itself; what it is, its reader tells."""
        return _existing(Path(text))

    def checkpoint(self, text: str) -> Path:
        """As `lora`."""
        return _existing(Path(text))

    def lora_or_folder(self, text: str) -> Path:
        """As `lora`, or a folder."""
        return Path(text) if Path(text).is_dir() else _existing(Path(text))

    def new_lora(self, text: str) -> Path:
        """The path, with .safetensors at its end."""
        path = Path(text if text.endswith(SUFFIX) else text + SUFFIX)
        if path.name == SUFFIX:
            raise UserError(f"'{text}' names a folder and no file: write the file's name behind it.")
        return _free(path)

    def new_checkpoint(self, text: str) -> Path:
        """As `new_lora`."""
        return self.new_lora(text)

    def new_folder(self, text: str) -> Path:
        """The path itself."""
        return _folder(Path(text))

    def presets(self) -> Presets:
        """The presets of the file."""
        return Presets.load(self.presets_file or presets.SHIPPED)

    def elements(self) -> Elements:
        """The rules of the file."""
        return Elements.load(self.elements_file or elements.SHIPPED)

    def device(self, asked: str) -> str:
        """As asked: nothing else of ours runs in this process."""
        return asked


@dataclass(frozen=True)
class HostPlaces:
    """A host: names are those of its lists.

    Attributes:
        host: whose folders are used. training: whether a training runs now.
    """

    host: Host
    training: Callable[[], bool]
    words: ClassVar[Words] = LABELS

    def lora(self, text: str) -> Path:
        """The LoRA of the host's folder, or of a path."""
        found = find_lora(text, self.host)
        if found is None:
            raise UserError(f"there is no LoRA '{text}' in '{self.host.paths.loras}': choose one of the list.")
        return found

    def checkpoint(self, text: str) -> Path:
        """The checkpoint of the host's list: by its path, its name, or its name without the ending."""
        files = self.host.checkpoints()
        for told in (str, lambda path: path.name, lambda path: path.stem):
            found = [path for path in files if told(path) == text]
            if len(found) == 1:
                return found[0]
            if found:
                raise UserError(f"there are {len(found)} checkpoints '{text}': give the whole path of one, such as "
                                f"'{found[0]}'.")
        raise UserError(f"the host has no checkpoint '{text}': choose one of the list.")

    def lora_or_folder(self, text: str) -> Path:
        """As `lora`, or a folder in the host's LoRA folder ("." is that itself), or any by its path."""
        folder = self.host.paths.loras / text
        return folder if folder.is_dir() else self.lora(text)

    def new_lora(self, text: str) -> Path:
        """A file of the host's LoRA folder; the name is a plain one."""
        return _free(self.host.paths.loras / f"{_plain(text)}{SUFFIX}")

    def new_checkpoint(self, text: str) -> Path:
        """A file of the host's folder of checkpoints; the name is a plain one."""
        if self.host.paths.checkpoints is None:
            raise UserError("the host does not tell where its checkpoints lie; use the command line.")
        return _free(self.host.paths.checkpoints / f"{_plain(text)}{SUFFIX}")

    def new_folder(self, text: str) -> Path:
        """A folder in the host's LoRA folder; the name is a plain one."""
        return _folder(self.host.paths.loras / _plain(text))

    def presets(self) -> Presets:
        """The host's presets."""
        return self.host.presets()

    def elements(self) -> Elements:
        """The host's rules."""
        return self.host.elements()

    def device(self, asked: str) -> str:
        """A training has the GPU to itself: while one runs, "auto" is the processor."""
        return "cpu" if asked == "auto" and self.training() else asked


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"there is no file '{path}': check the name and the folder.")
    return path


def _plain(text: str) -> str:
    """Returns a name that is one everywhere, and nothing but a name.

    Raises:
        Problems: why it is none.
    """
    faults = list(name_faults(text, f"'{text}'"))
    if text.startswith("."):
        faults.append(f"'{text}' begins with a dot, which hides the file; take it off.")
    if faults:
        raise Problems(faults)
    return text


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise UserError(f"'{path}' is a file and no folder: choose another name.")
    return path


def _free(path: Path) -> Path:
    if path.exists():
        raise whole.taken(path)
    return path
