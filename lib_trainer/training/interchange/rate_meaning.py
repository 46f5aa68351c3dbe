"""What sd-scripts' options of the optimiser, the rates and the schedule mean here."""
from __future__ import annotations

from typing import Any

from lib_trainer.training.interchange.arguments import Arguments
from lib_trainer.training.interchange.imported import Imported


def rates(arguments: Arguments, result: Imported) -> dict[str, Any]:
    """Returns our settings of the learning; adds to the sentences of `result`."""
    values = _optimizer(arguments, result) | _schedule(arguments) | _length(arguments)
    encoders = [number(rate) for rate in arguments["text_encoder_lr"] or []]
    values |= {
        "learning_rate": number(arguments["learning_rate"]), "unet_lr": number(arguments["unet_lr"]),
        "text_encoder_lr": encoders[0] if encoders else "",
        "text_encoder2_lr": encoders[1] if len(encoders) > 1 and encoders[1] != encoders[0] else "",
    }
    if values["text_encoder2_lr"]:
        result.changed.append(
            f"text_encoder_lr = {' '.join(encoders)}: sd-scripts' LoRA takes the first rate for both of SDXL's "
            "encoders; here each learns at its own.")
    if arguments["seed"] is None:
        result.assumed.append("seed is not given: sd-scripts then draws another one for every run; here the form's "
                              "stays, so that the run can be repeated.")
    else:
        values["seed"] = int(arguments["seed"])
    return values


def number(value: int | float | None) -> str:
    """Returns a number as a person writes it: 0.0001 as 1e-4, None as nothing."""
    if value is None:
        return ""
    if value and abs(value) < 1e-2:
        mantissa, _, exponent = f"{value:e}".partition("e")
        short = f"{float(mantissa):.10g}e{int(exponent)}"
        return short if float(short) == value else repr(value)
    return repr(int(value)) if value == int(value) else repr(value)


def _optimizer(arguments: Arguments, result: Imported) -> dict[str, Any]:
    old = "AdamW8bit" if arguments["use_8bit_adam"] else "Lion" if arguments["use_lion_optimizer"] else "AdamW"
    name = arguments["optimizer_type"] or old
    extra = list(arguments["optimizer_args"] or [])
    if name.lower() == "adafactor" and not any(item.startswith("relative_step") for item in extra):
        extra.append("relative_step=True")
        result.assumed.append("optimizer_args names no relative_step: sd-scripts' Adafactor then sets its own rate and "
                              "drops the learning rates, so relative_step=True is written out.")
    return {"optimizer": name, "optimizer_args": " ".join(extra)}


def _schedule(arguments: Arguments) -> dict[str, Any]:
    return {
        "scheduler": arguments["lr_scheduler_type"] or arguments["lr_scheduler"],
        "scheduler_args": " ".join(arguments["lr_scheduler_args"] or []),
        "warmup": part(arguments["lr_warmup_steps"]), "decay": part(arguments["lr_decay_steps"]),
    }


def part(value: int | float) -> str:
    """Returns steps as they are, a part of the run as a percentage."""
    return f"{value * 100:.10g}%" if isinstance(value, float) and 0 < value < 1 else str(int(value))


def _length(arguments: Arguments) -> dict[str, Any]:
    """Epochs win over steps."""
    epochs = arguments["max_train_epochs"]
    return {"epochs": int(epochs), "steps": 0} if epochs else {"steps": int(arguments["max_train_steps"])}


def steps_of(text: str) -> int | float:
    """Returns our steps or part of a run as sd-scripts writes it: "100" as 100, "5%" or "0.05" as 0.05."""
    bare = text.strip() or "0"
    if bare.endswith("%"):
        return float(bare[:-1]) / 100
    number = float(bare)
    return int(number) if number >= 1 or number == 0 else number
