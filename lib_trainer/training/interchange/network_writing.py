"""Our network as sd-scripts' options: its module, rank, alpha and `network_args`."""
from __future__ import annotations

import re

from lib_trainer.blocks.layouts import SD_SCRIPTS
from lib_trainer.lora.adapters.facts import FACTS
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.interchange.arguments import shown
from lib_trainer.training.interchange.network_args import (
    ALGORITHMS,
    KOHYA_LAYERS,
    LYCORIS,
    NETWORK_ARGS,
    PRESETS,
    READ_BY,
)
from lib_trainer.training.interchange.option import Value

_BY_BLOCK = {"block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas"}
_SIDE = re.compile(r"(down|mid|up)\s*[:=]\s*(.*)", re.IGNORECASE | re.DOTALL)


def write(config: TrainConfig, values: dict[str, Value], lost: list[str]) -> None:
    """Adds the options of the network to `values` and what cannot be said to `lost`."""
    arguments = _arguments(config)
    module = _module(config, arguments)
    values |= {"network_module": module, "network_dim": config.rank, "network_alpha": config.alpha}
    if config.network_dropout:
        values["network_dropout"] = config.network_dropout
    if module == LYCORIS:
        names = {ours: theirs for theirs, ours in reversed(ALGORITHMS.items())}
        presets = {ours: theirs for theirs, (ours, _) in reversed(PRESETS.items())}
        arguments |= {"algo": names[config.algorithm], "preset": presets[config.layers],
                      "conv_dim": config.conv_rank, "conv_alpha": config.conv_alpha}
    elif module == "networks.oft":
        switches = {"enable_all_linear": config.layers == KOHYA_LAYERS, "enable_conv": config.conv_rank > 0}
        arguments |= {name: True for name, on in switches.items() if on}
    elif config.conv_rank:
        arguments |= {"conv_dim": config.conv_rank, "conv_alpha": config.conv_alpha}
    if config.algorithm == "dylora":
        arguments["block_size" if module == LYCORIS else "unit"] = config.dylora_unit
    for name in _BY_BLOCK & arguments.keys():
        if len(str(arguments[name]).split(",")) not in SD_SCRIPTS:
            lost.append(f"network_args: {name} = {shown(arguments.pop(name))}: there it is 25 numbers (SD 1.x, 2.x) "
                        "or 23 (SDXL); write the blocks so.")
    for name in arguments.keys() - READ_BY[module]:
        lost.append(f"network_args: {name} = {shown(arguments.pop(name))}: {module} does not read it.")
    if arguments:
        values["network_args"] = [f"{name}={_text(value)}" for name, value in arguments.items()]
    for name, other in (("network_train_unet_only", "text_encoder"), ("network_train_text_encoder_only", "unet")):
        if not getattr(config, f"train_{other}"):
            values[name] = True
    _beginning(config, values, lost)


def _arguments(config: TrainConfig) -> dict[str, Value]:
    """Returns the arguments that are one field each, where they say something."""
    found = {}
    for option in NETWORK_ARGS.values():
        if option.alone:
            value = option.theirs(getattr(config, option.fields[0]))
            if value not in (None, option.default):
                found[option.name] = value
    found |= {name: text for name, text in block_rates(config.block_lrs).items() if text}
    return found | {name: True for name, on in (("use_tucker", config.tucker), ("dora_wd", config.dora)) if on}


def _module(config: TrainConfig, arguments: dict[str, Value]) -> str:
    """Returns the module that trains such a network: kohya's own where it can, otherwise LyCORIS."""
    own = FACTS[config.algorithm].module
    if own == "networks.oft":
        return own
    needs_lycoris = config.layers != KOHYA_LAYERS or bool((READ_BY[LYCORIS] - READ_BY[own]) & arguments.keys())
    return LYCORIS if needs_lycoris and config.algorithm in ALGORITHMS.values() else own


def block_rates(text: str) -> dict[str, str]:
    """Splits factors written as sd-scripts' three arguments, `down: sine; mid: 1; up: cosine`, into these.

    Returns:
        the arguments; written otherwise they are one of ours, `block_lrs`.
    """
    parts = [_SIDE.fullmatch(part.strip()) for part in text.split(";") if part.strip()]
    if not all(parts):
        return {"block_lrs": text}
    return {f"{match[1].lower()}_lr_weight": match[2].strip() for match in parts if match}


def _beginning(config: TrainConfig, values: dict[str, Value], lost: list[str]) -> None:
    if config.continue_from:
        values["network_weights"] = config.continue_from
        if config.dim_from_weights:
            values["dim_from_weights"] = True
        elif config.continue_alpha != "rescale":
            lost.append("continue_alpha = 'adopt': sd-scripts trains at network_alpha whatever the file says; give it "
                        "the file's own alpha there.")
    if config.base_loras:
        from lib_trainer.training.beneath import parse

        pairs = parse(config.base_loras)
        values["base_weights"] = [name for name, _ in pairs]
        values["base_weights_multiplier"] = [strength for _, strength in pairs]


def _text(value: Value) -> str:
    return str(value) if not isinstance(value, float) or value != int(value) else str(int(value))
