"""kohya_ss' settings file (JSON), read into sd-scripts' options as that program turns it into them."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_trainer.training.interchange import command
from lib_trainer.training.interchange.catalogue import OPTIONS
from lib_trainer.training.interchange.gui_names import (
    ABSENT,
    KEYS,
    OLD_TYPES,
    OWN,
    RENAMED,
    SIGNS,
    TYPES,
    ZERO_IS_NONE,
)
from lib_trainer.training.interchange.network_args import NETWORK_ARGS
from lib_trainer.training.interchange.option import Value

_OTHER_FAMILIES = {
    "flux1_checkbox": "Flux", "sd3_checkbox": "SD3", "anima_checkbox": "Anima", "lumina_checkbox": "Lumina",
    "hunyuan_image_checkbox": "HunyuanImage",
}


@dataclass
class Settings:
    """What a kohya_ss file says.

    Attributes:
        values: by option of sd-scripts. sdxl: whether SDXL is trained. prompts: text of the preview prompts.
        changed, needless, faults: sentences.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sdxl: bool = False
    prompts: str = ""
    changed: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def is_one(data: Mapping[str, Any]) -> bool:
    """Whether an object is a settings file of kohya_ss."""
    return bool(SIGNS & set(data)) and not any(isinstance(value, dict) for value in data.values())


def read(data: Mapping[str, Any]) -> Settings:
    """Reads a settings file of kohya_ss for LoRAs."""
    given = {**ABSENT, **{name: value for name, value in data.items() if value is not None}}
    result = Settings(sdxl=_on(given.get("sdxl")), prompts=str(given.get("sample_prompts") or "").strip())
    families = [label for name, label in _OTHER_FAMILIES.items() if _on(given.get(name))]
    if families:
        result.faults.append(f"The settings are for {families[0]}: only SD 1, SD 2 and SDXL are trained here.")
    result.values = _same_options(given)
    result.values |= _noise(given) | _rates(given) | _length(given, result) | _attention(given)
    result.values |= _network(given, result)
    if given.get("use_wandb") in (True, "True"):
        result.values["log_with"] = "wandb"
    _stop_text_encoder(given, result)
    more = command.Command()
    command.read_options(more, str(given["additional_parameters"]).replace('"', "").split())
    result.values |= more.values
    result.faults += more.faults
    _tell_rest(data, result)
    return result


def _same_options(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in given.items():
        option = RENAMED.get(name, name)
        if option not in OPTIONS or name in OWN or value in ("", [], None):
            continue
        if not (option in ZERO_IS_NONE and _number(value) == 0):
            values[option] = value.replace('"', "") if OPTIONS[option].several and isinstance(value, str) else value
    if values.get("mixed_precision") == "fp8":
        values["mixed_precision"] = "fp16"
    return values


def _noise(given: Mapping[str, Any]) -> dict[str, Any]:
    """Only one kind of noise offset acts at a time."""
    if given["noise_offset_type"] == "Original":
        return {"multires_noise_iterations": None, "multires_noise_discount": 0.3}
    return {"noise_offset": None, "adaptive_noise_scale": None, "noise_offset_random_strength": False}


def _rates(given: Mapping[str, Any]) -> dict[str, Any]:
    """A rate of 0 switches its part off, unless both are 0."""
    encoder, unet = _number(given["text_encoder_lr"]), _number(given["unet_lr"])
    steps, percent = _number(given.get("lr_warmup_steps")), _number(given["lr_warmup"])
    return {
        "text_encoder_lr": [encoder] if encoder else None,
        "network_train_unet_only": encoder == 0 != unet, "network_train_text_encoder_only": unet == 0 != encoder,
        "lr_warmup_steps": int(steps) if steps else percent / 100,
    }


def _length(given: Mapping[str, Any], result: Settings) -> dict[str, Any]:
    steps, epochs = _number(given["max_train_steps"]), _number(given["max_train_epochs"])
    if epochs or steps or given.get("dataset_config"):
        return {}
    epochs = _number(given["epoch"]) or 1
    result.changed.append(f"epoch = {epochs:g}: kohya_ss counts the steps from the folders' pictures; here the run "
                          f"has {epochs:g} epochs, which is the same up to a step.")
    return {"max_train_epochs": int(epochs)}


def _attention(given: Mapping[str, Any]) -> dict[str, Any]:
    chosen = given["xformers"]
    word = ("xformers" if chosen else "none") if isinstance(chosen, bool) else str(chosen)
    return {"xformers": word == "xformers", "sdpa": word == "sdpa"}


def _network(given: Mapping[str, Any], result: Settings) -> dict[str, Any]:
    chosen = str(given["LoRA_type"])
    kind = TYPES.get(OLD_TYPES.get(chosen, chosen))
    if kind is None:
        result.faults.append(f"LoRA_type = {chosen!r}: known are {', '.join(TYPES)}.")
        return {}
    module, algo, names = kind
    arguments = [f"{name}={given[KEYS.get(name, name)]}" for name in names if _says(name, given)]
    return {"network_module": module, "network_args": arguments + ([f"algo={algo}"] if algo else [])}


def _says(name: str, given: Mapping[str, Any]) -> bool:
    """Whether an argument is given and is not what the module does anyway."""
    value = given.get(KEYS.get(name, name))
    if name in ("conv_dim", "conv_alpha"):
        return value not in (None, "")
    option = NETWORK_ARGS[name]
    if value in (None, "", option.default, option.off) or str(value) in ("False", "0", "-1"):
        return False
    return not (option.kind != "text" and _number(value) == 0 and value is not True)


def _stop_text_encoder(given: Mapping[str, Any], result: Settings) -> None:
    percent = _number(given.get("stop_text_encoder_training") or given.get("stop_text_encoder_training_pct"))
    if percent:
        result.changed.append(f"stop_text_encoder_training = {percent:g} %: kohya_ss ignores it for LoRAs; set "
                              "`stop_text_encoder` here if you want it.")


def _tell_rest(data: Mapping[str, Any], result: Settings) -> None:
    known = OPTIONS.keys() | RENAMED.keys() | OWN | NETWORK_ARGS.keys() | ABSENT.keys() | _OTHER_FAMILIES.keys()
    rest = [name for name, value in data.items() if name not in known and value not in (None, "", False, 0, [])]
    if rest:
        result.needless.append(f"Of kohya_ss' window, its launcher or other families of models: {', '.join(rest)}.")


def _number(value: Value) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _on(value: Value) -> bool:
    return value is True or str(value).lower() == "true"
