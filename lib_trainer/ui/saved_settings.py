"""Settings of the train form kept as files: the last ones, restored after a reload, and those saved under a name.

One JSON file each in `settings/train`: `{"goal": ..., "values": {field name: value}}`. Drafts are kept as typed, faults
included, so that nothing a person wrote is lost; faults are told when they press Start.
"""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.training import config_values
from lib_trainer.ui.form import FIELDS

LAST = "last"
_FORBIDDEN = '<>:"/\\|?*'


@dataclass(frozen=True)
class Draft:
    """A filled-in form: the goal chosen ("" = none) and the values by field name, perhaps not all of them."""

    goal: str = ""
    values: dict[str, Any] = field(default_factory=dict)


class SavedSettings:
    """The settings files of a folder."""

    def __init__(self, folder: Path) -> None:
        """Uses `folder`, which is made when something is saved."""
        self._folder = folder

    def names(self) -> list[str]:
        """Returns the names under which settings were saved, sorted; the last ones are not among them."""
        return sorted(path.stem for path in self._folder.glob("*.json") if path.stem != LAST)

    def save(self, name: str, draft: Draft) -> Path:
        """Writes settings whole or not at all; saving under a name again replaces it.

        Raises:
            UserError: the name cannot be a file's, or the disk refuses.
        """
        path = self._path(name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            config_values.write_file(path, {"goal": draft.goal, "values": draft.values})
        except OSError as error:
            raise UserError(
                f"The settings cannot be saved to {path} ({error.strerror}): make room or check rights.") from None
        return path

    def load(self, name: str) -> Draft:
        """Reads settings; fields that no longer exist are left out.

        Raises:
            UserError: there are none of that name, or the file is not readable.
        """
        path = self._path(name)
        try:
            data = json.loads(path.read_text(encoding="utf8"))
            values = {key: value for key, value in data["values"].items() if key in FIELDS}
            return Draft(str(data.get("goal", "")), values)
        except FileNotFoundError:
            known = ", ".join(self.names()) or "there are none yet"
            raise UserError(f"There are no settings saved as {name!r}: choose from the list ({known}).") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"The settings file {path} cannot be read ({error}): delete it or mend it.") from None

    def last(self) -> Draft | None:
        """Returns the last settings, None when there are none or the file is broken."""
        try:
            return self.load(LAST)
        except UserError:
            return None

    def _path(self, name: str) -> Path:
        bare = name.strip()
        if not bare or bare.startswith(".") or any(sign in _FORBIDDEN or ord(sign) < 32 for sign in bare):
            raise UserError(f"Settings cannot be saved as {name!r}: use letters, digits, - and _.")
        return self._folder / f"{bare}.json"
