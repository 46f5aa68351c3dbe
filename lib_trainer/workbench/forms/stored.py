"""Fields that most operations ask for alike: how a result is stored, what it is worked out on, from which base."""
from __future__ import annotations

from collections.abc import Mapping

from lib_trainer.workbench.forms.form import Field, Values

DEVICE = Field(
    "device", "choice", "Device", "Auto: the GPU when there is one and no training needs it, else the processor.",
    default="auto", choices={"auto": "Auto", "cpu": "Processor", "cuda": "GPU"}, fold="More",
    cli="Where to compute; auto takes the GPU when there is one.")

BASE = Field(
    "base", "checkpoint", "Base checkpoint", "Needed where layers of DoRA or OFT take part: what they change depends "
    "on the model's own weights.", fold="More",
    cli="The checkpoint that the LoRA was trained on; needed for layers of DoRA, OFT, BOFT, GLoRA and (IA)3.")

FAMILY = Field(
    "family", "choice", "Model family", "Of a LoRA whose file does not tell.", default="auto", fold="More",
    choices={"auto": "As the file tells", "sd1": "SD 1.x", "sd2": "SD 2.x", "sdxl": "SDXL"},
    cli="Family of a LoRA whose file does not tell it.")


def family(values: Values) -> str:
    """Returns what `FAMILY` says, "" = as the file tells."""
    return "" if values[FAMILY.name] == "auto" else str(values[FAMILY.name])


MORE_PRECISIONS = {"fp16": "fp16", "bf16": "bf16", "fp32": "fp32"}


def precision(default: str, more: Mapping[str, str] | None = None, fold: str = "More") -> Field:
    """Returns the field of the numbers' precision; `more` = words beside the usual ones and what they are called."""
    return Field(
        "precision", "choice", "Precision", "How the new file stores its numbers; fp16 halves the size of fp32, bf16 "
        "is coarser but has a greater range.", default=default, choices={**(more or {}), **MORE_PRECISIONS}, fold=fold,
        cli="Numbers of the new file.")


def new_lora(fold: str = "") -> Field:
    """Returns the field of the new file's name."""
    return Field("out", "new_lora", "Name of the new LoRA", "Write a name; nothing is overwritten.", required=True,
                 fold=fold, cli=NEW_FILE)


NEW_FILE = "The new file; .safetensors is added to its name, and nothing is ever overwritten."
