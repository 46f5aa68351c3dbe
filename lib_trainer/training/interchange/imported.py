"""What an import gives: our settings, and in sentences all that a person should know about them."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OURS, SD_SCRIPTS, DATASET, GUI, COMMAND, METADATA = "ours", "sd-scripts", "dataset", "kohya_ss", "command", "metadata"

KINDS = {
    OURS: "Our own settings", SD_SCRIPTS: "sd-scripts settings file", DATASET: "sd-scripts dataset file",
    GUI: "kohya_ss settings", COMMAND: "Command line", METADATA: "Record of a LoRA file",
}
"""The kinds of source that are understood, as they are called on the page."""

FORMATS = {
    OURS: "Our own settings (.json)", SD_SCRIPTS: "sd-scripts settings (.toml)",
    DATASET: "sd-scripts dataset (.toml)", GUI: "kohya_ss settings (.json)", COMMAND: "Command line",
}
"""What settings can be written as, as it is called on the page."""

HEADS = {
    "unsupported": "Not supported", "changed": "Otherwise here", "assumed": "Defaults of sd-scripts that were taken",
    "needless": "Means nothing here",
}
"""What stands before the sentences of `Imported.told` that are no faults, in this order."""


@dataclass
class Imported:
    """Settings read from elsewhere.

    Attributes:
        kind: one of KINDS.
        values: our settings by field name; what is not named was not said by the source and has no meaning there.
        assumed: what the source left out and sd-scripts takes otherwise than we do.
        changed: what is done otherwise here, on purpose.
        unsupported: what cannot be had here. needless: what means nothing here.
        contradictions: what the source says against itself. faults: what could not be read.
    """

    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def is_partial(self) -> bool:
        """Whether it says only a part of the settings, so that all others stay as they are."""
        return self.kind in (DATASET, METADATA)

    @property
    def problems(self) -> list[str]:
        """All that must be mended before the settings mean anything."""
        return [*self.faults, *self.contradictions]

    def told(self) -> dict[str, list[str]]:
        """Returns all sentences by what they are, for JSON and for the page."""
        return {
            "faults": self.faults, "contradictions": self.contradictions, "unsupported": self.unsupported,
            "changed": self.changed, "assumed": self.assumed, "needless": self.needless,
        }
