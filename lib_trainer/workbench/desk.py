"""The workbench in a host: operations asked for by name and values, carried out as tasks on the host's files."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib_trainer.host import Host
from lib_trainer.lora.finding import SUFFIX
from lib_trainer.workbench.forms import table
from lib_trainer.workbench.forms.places import HostPlaces
from lib_trainer.workbench.operation import Outcome
from lib_trainer.workbench.tasks import Task, Tasks


class Desk:
    """What the tab and the API start operations with.

    Attributes:
        tasks: the operations that run or have ended.
    """

    def __init__(self, host: Host, training: Callable[[], bool]) -> None:
        """Starts with nothing to do.

        Args:
            host: whose files are worked on. training: whether a training runs now.
        """
        self._host = host
        self._places = HostPlaces(host, training)
        self.tasks = Tasks(self._told)

    def start(self, name: str, given: Mapping[str, Any]) -> Task:
        """Starts an operation.

        Args:
            name: a key of `table.FORMS`. given: its values by field name.

        Raises:
            Problems: all values that cannot be used. Busy: another operation runs. UserError: no such operation.
        """
        form = table.find(name)
        values = form.read(given, self._places)
        operation = form.operation(values, self._places)
        return self.tasks.start(form.name, form.title, operation, form.instant, form.files(values))

    def told(self, number: int) -> dict[str, Any]:
        """Returns a task with its outcome, which has the `tag` of a new LoRA, or `no_tag`: why there is none.

        Raises:
            UserError: there is no task of this number.
        """
        task = self.tasks.find(number)
        told = task.full()
        if task.outcome is not None and task.outcome.file is not None:
            tag, no_tag = self._tag(task.outcome.file)
            told["outcome"] |= {"tag": tag, "no_tag": no_tag}
        return told

    def _tag(self, made: Path) -> tuple[str, str]:
        """Returns the tag with which the host draws with a file, or why there is none; ("", "") of what is no LoRA."""
        if not made.is_relative_to(self._host.paths.loras) or made.is_dir():
            return "", ""
        if not made.is_file():
            return "", "The file is not there any more."
        if len(list(self._host.paths.loras.rglob(made.name))) > 1:
            return "", f"There are several LoRAs '{made.stem}', so that a tag does not tell which one is meant."
        from lib_trainer.workbench import reading  # needs torch, which no operation has asked for before it begins

        naming = reading.naming(made)
        if naming not in self._host.lora_namings:
            return "", (f"{self._host.name} does not read the names '{naming}', so there is no tag for it here. "
                        "Convert it to 'kohya' to draw with it.")
        return f"<lora:{made.stem}:1>", ""

    def choices(self) -> dict[str, Any]:
        """Returns what there is to choose from: LoRAs by name as in a tag, or by path where two have one; folders of
        LoRAs below the host's; checkpoints; block presets.
        """
        loras = self._host.paths.loras
        files = sorted(loras.rglob("*" + SUFFIX))
        folders = sorted({str(file.parent.relative_to(loras)) for file in files})
        return {"loras": _names(files, stem=True), "folders": folders,
                "checkpoints": _names(self._host.checkpoints(), stem=False),
                "presets": list(dict.fromkeys(preset.name for preset in self._host.presets().entries))}

    def _told(self, outcome: Outcome) -> None:
        """Has the host list what is new."""
        if outcome.file is None:
            return
        if outcome.file.is_dir():
            # One is enough: nothing was replaced, and the host reads the whole of its folder anew.
            for file in list(outcome.file.rglob("*" + SUFFIX))[:1]:
                self._host.lora_saved(file)
        elif outcome.file.is_relative_to(self._host.paths.loras):
            self._host.lora_saved(outcome.file)
        else:
            self._host.checkpoint_saved(outcome.file)


def _names(files: list[Path], stem: bool) -> list[str]:
    names = [path.stem if stem else path.name for path in files]
    counted = Counter(names)
    return [name if counted[name] == 1 else str(path) for name, path in zip(names, files, strict=True)]
