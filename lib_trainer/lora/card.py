"""What a WebUI shows on a LoRA's card: user metadata `NAME.json` and a thumbnail `NAME.png` beside the file.

The keys are those that AUTOMATIC1111's metadata editor writes; Forge and reForge read the same. Whatever lies there
already is the person's own and is never replaced.
"""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.lora import whole


@dataclass(frozen=True)
class Card:
    """The user metadata of a LoRA.

    Attributes:
        family: of the base model. description: what it is. notes: how it was made.
        activation: words that call what was learned, put into the prompt with the tag; "" = none.
        negative: words for the negative prompt. weight: strength that a click writes into the tag.
    """

    family: Family
    description: str
    notes: str
    activation: str = ""
    negative: str = ""
    weight: float = 1.0

    def to_json(self) -> dict[str, str | float]:
        """Returns the metadata by the WebUIs' keys."""
        return {
            "description": self.description, "sd version": self.family.name.upper(),
            "activation text": self.activation, "preferred weight": self.weight, "negative text": self.negative,
            "notes": self.notes,
        }


def write(lora: Path, card: Card, picture: Path | None) -> None:
    """Writes what is not there yet.

    Args:
        lora: the LoRA file.
        card: its metadata.
        picture: a PNG for the thumbnail, None = no thumbnail.

    Raises:
        UserError: a file cannot be written, or the picture cannot be read.
    """
    metadata, thumbnail = lora.with_name(f"{lora.stem}.json"), lora.with_name(f"{lora.stem}.png")
    if not metadata.exists():
        whole.write(metadata, json.dumps(card.to_json(), indent=4, ensure_ascii=False).encode("utf8"))
    if picture is not None and not thumbnail.exists():
        try:
            content = picture.read_bytes()
        except OSError as error:
            raise UserError(f"The preview {picture} cannot be read ({error.strerror}): no thumbnail made.") from None
        whole.write(thumbnail, content)
