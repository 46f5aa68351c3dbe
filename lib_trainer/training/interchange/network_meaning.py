"""What sd-scripts' network options mean here: module, algorithm, rank, layers, what the weights begin with."""
from __future__ import annotations

import dataclasses
from typing import Any

from lib_trainer.lora.adapters.facts import FACTS
from lib_trainer.lora.adapters.facts import OPTIONS as KIND_OPTIONS
from lib_trainer.training.interchange.arguments import Arguments, shown
from lib_trainer.training.interchange.imported import Imported
from lib_trainer.training.interchange.network_args import (
    ALGORITHMS,
    KOHYA_LAYERS,
    LYCORIS,
    MODULES,
    NETWORK_ARGS,
    OTHER_ALGORITHMS,
    OTHERS,
    PRESETS,
    READ_BY,
)
from lib_trainer.training.interchange.option import Value
from lib_trainer.training.settings.network import NetworkSettings

DEFAULT_RANK = 4
DEFAULT_PRESET = "full"
"""LyCORIS' layers where no preset is named."""

WITHOUT_CONVOLUTIONS = ("attn-only", "attn-mlp", "full-lin", "ia3")


def network(given: Arguments, result: Imported) -> dict[str, Any]:
    """Returns our settings of the network; adds to the sentences of `result`."""
    arguments = dataclasses.replace(given, network=_read_ones(given, result))
    written = {name: value for name, value in arguments.network.items() if value is not None}
    values: dict[str, Any] = {
        option.fields[0]: option.ours(written.get(option.name, option.default))
        for option in NETWORK_ARGS.values() if option.alone
    }
    values |= _kind(arguments, result) | _sizes(arguments) | _parts(arguments) | _beginning(arguments)
    values["dora"] = bool(arguments.network.get("dora_wd") or arguments.network.get("weight_decompose"))
    values |= {"tucker": _tucker(arguments), "dylora_unit": int(_of(arguments, "unit", "block_size") or 1)}
    values["block_lrs"] = block_rates(arguments)
    values["network_dropout"] = float(arguments["network_dropout"] or arguments.network.get("dropout") or 0)
    _without_needless(values, result)
    return values


def _read_ones(given: Arguments, result: Imported) -> dict[str, Any]:
    """Returns the arguments that the module reads; it ignores the others in silence, which is told here."""
    module = LYCORIS if is_lycoris(given) else given["network_module"] or "networks.lora"
    read = READ_BY.get(module, NETWORK_ARGS.keys())
    result.needless += [f"network_args: {name} = {shown(value)}: {module} does not read it."
                        for name, value in given.network.items() if name not in read and value]
    return {name: value for name, value in given.network.items() if name in read}


def _without_needless(values: dict[str, Any], result: Imported) -> None:
    """Puts settings that the algorithm does not know back to their defaults, and tells it."""
    facts = FACTS[values["algorithm"]]
    for field in dataclasses.fields(NetworkSettings):
        name = field.name
        if name in KIND_OPTIONS and name not in facts.takes and values.get(name, field.default) != field.default:
            result.needless.append(f"{name} = {shown(values[name])}: it means nothing for {facts.label}.")
            values[name] = field.default


def is_lycoris(arguments: Arguments) -> bool:
    """Whether the network is LyCORIS' (`lycoris.kohya`, `locon.locon_kohya` of old)."""
    return str(arguments["network_module"] or "").split(".")[0] in ("lycoris", "locon")


def _kind(arguments: Arguments, result: Imported) -> dict[str, Any]:
    module = arguments["network_module"] or ""
    if is_lycoris(arguments):
        name = str(arguments.network.get("algo") or "lora").lower()
        algorithm = ALGORITHMS.get(name)
        if algorithm is None:
            says = OTHER_ALGORITHMS.get(name, f"known are {', '.join(ALGORITHMS)}.")
            result.faults.append(f"network_args: algo = {name!r}: {says}")
        return {"algorithm": algorithm or "lora", "layers": _preset(arguments, result)[0]}
    if module not in MODULES:
        says = OTHERS.get(module, f"known are {', '.join(filter(None, MODULES))}.")
        result.faults.append(f"network_module = {module!r}: {says}")
    algorithm = MODULES.get(module, "lora")
    if algorithm == "oft_kohya" and not arguments.network.get("enable_all_linear"):
        return {"algorithm": algorithm, "layers": "attn-only"}
    return {"algorithm": algorithm, "layers": KOHYA_LAYERS}


def _preset(arguments: Arguments, result: Imported | None = None) -> tuple[str, bool]:
    name = arguments.network.get("preset") or DEFAULT_PRESET
    if result is not None and name not in PRESETS:
        result.unsupported.append(f"network_args: preset = {name!r}: LyCORIS' own files of layers are not read; known "
                                  f"are {', '.join(PRESETS)}.")
    return PRESETS.get(name, PRESETS[DEFAULT_PRESET])


def _sizes(arguments: Arguments) -> dict[str, Any]:
    """Rank and alpha; LyCORIS trains convolutions with the same ones unless told otherwise."""
    rank = int(arguments["network_dim"] or DEFAULT_RANK)
    if arguments.network.get("enable_conv"):
        return {"rank": rank, "alpha": float(arguments["network_alpha"]), "conv_rank": rank,
                "conv_alpha": float(arguments["network_alpha"])}
    alpha = float(arguments["network_alpha"] or 0) or float(rank)
    conv, conv_alpha = arguments.network.get("conv_dim"), arguments.network.get("conv_alpha")
    if is_lycoris(arguments):
        convolutions = _preset(arguments)[0] not in WITHOUT_CONVOLUTIONS
        return {"rank": rank, "alpha": alpha, "conv_rank": int(rank if conv is None else conv) if convolutions else 0,
                "conv_alpha": float(conv_alpha or alpha)}
    return {"rank": rank, "alpha": alpha, "conv_rank": int(conv or 0), "conv_alpha": float(conv_alpha or 1.0)}


def _parts(arguments: Arguments) -> dict[str, bool]:
    return {
        "train_unet": not arguments["network_train_text_encoder_only"],
        "train_text_encoder": not arguments["network_train_unet_only"]
        and (not is_lycoris(arguments) or _preset(arguments)[1]),
    }


def _beginning(arguments: Arguments) -> dict[str, Any]:
    """sd-scripts loads the weights and trains them at the alpha of the command line, so that is kept in effect."""
    weights = arguments["network_weights"] or ""
    files = arguments["base_weights"] or []
    strengths = arguments["base_weights_multiplier"] or []
    told = (f"{name}:{strengths[place] if place < len(strengths) else 1.0:g}" for place, name in enumerate(files))
    return {
        "continue_from": weights, "base_loras": ", ".join(told),
        **({"dim_from_weights": bool(arguments["dim_from_weights"])} if weights else {}),
        **({"continue_alpha": "rescale"} if weights and "network_alpha" in arguments.given
           and not arguments["dim_from_weights"] else {}),
    }


def _tucker(arguments: Arguments) -> bool:
    given = arguments.network
    return bool(given.get("use_tucker") or given.get("use_cp") or given.get("use_conv_cp")
                or given.get("disable_conv_cp") is False)


def _of(arguments: Arguments, *names: str) -> Value:
    return next((arguments.network[name] for name in names if arguments.network.get(name)), None)


def block_rates(arguments: Arguments) -> str:
    """Returns the learning rates' factors by block as one text, "" where there are none."""
    parts = [(name, arguments.network.get(f"{name}_lr_weight")) for name in ("down", "mid", "up")]
    return "; ".join(f"{name}: {text}" for name, text in parts if text)
