"""What sd-scripts' network options mean here: module, algorithm, rank, layers, what the weights begin with."""
from __future__ import annotations

from typing import Any

from lib_trainer.training.interchange.arguments import Arguments, shown
from lib_trainer.training.interchange.imported import Imported
from lib_trainer.training.interchange.network_args import ALGORITHMS, LYCORIS, MODULES, NETWORK_ARGS, OTHERS
from lib_trainer.training.interchange.option import Value

DEFAULT_RANK = 4
DEFAULT_PRESET = "full"
"""LyCORIS' layers where no preset is named."""

WITHOUT_CONVOLUTIONS = ("attn-only", "unet-transformer-only", "full-lin")


def network(arguments: Arguments, result: Imported) -> dict[str, Any]:
    """Returns our settings of the network; adds to the sentences of `result`."""
    values: dict[str, Any] = {
        option.fields[0]: option.ours(arguments.network.get(option.name))
        for option in NETWORK_ARGS.values() if option.alone
    }
    for name in ("decompose_both", "full_matrix", "rs_lora", "dora", "train_norm", "use_scalar"):
        values[name] = bool(values[name])
    values |= _kind(arguments, result) | _sizes(arguments) | _parts(arguments) | _beginning(arguments)
    values |= {"tucker": _tucker(arguments), "dylora_unit": int(_of(arguments, "unit", "block_size") or 1)}
    values["block_lrs"] = block_rates(arguments)
    if (dropout := arguments.network.get("dropout")) and not arguments["network_dropout"]:
        values["network_dropout"] = dropout
    return values


def is_lycoris(arguments: Arguments) -> bool:
    """Whether the network is LyCORIS' (`lycoris.kohya`, `locon.locon_kohya` of old)."""
    return str(arguments["network_module"] or "").split(".")[0] in ("lycoris", "locon")


def _kind(arguments: Arguments, result: Imported) -> dict[str, Any]:
    module = arguments["network_module"] or ""
    if is_lycoris(arguments):
        name = str(arguments.network.get("algo") or "lora").lower()
        algorithm = ALGORITHMS.get(name)
        if algorithm is None:
            result.faults.append(f"network_args: algo = {name!r}: known are {', '.join(ALGORITHMS)}.")
        return {"algorithm": algorithm or "lora", "layers": arguments.network.get("preset") or DEFAULT_PRESET}
    if module not in MODULES:
        says = OTHERS.get(module, f"known are {', '.join(filter(None, MODULES))}.")
        result.faults.append(f"network_module = {module!r}: {says}")
    return {"algorithm": MODULES.get(module, "lora")}


def _sizes(arguments: Arguments) -> dict[str, Any]:
    """Rank and alpha; LyCORIS trains convolutions with the same ones unless told otherwise."""
    rank = int(arguments["network_dim"] or DEFAULT_RANK)
    alpha = float(arguments["network_alpha"] or 0) or float(rank)
    conv, conv_alpha = arguments.network.get("conv_dim"), arguments.network.get("conv_alpha")
    if is_lycoris(arguments):
        convolutions = (arguments.network.get("preset") or DEFAULT_PRESET) not in WITHOUT_CONVOLUTIONS
        return {"rank": rank, "alpha": alpha, "conv_rank": int(rank if conv is None else conv) if convolutions else 0,
                "conv_alpha": float(conv_alpha or alpha)}
    return {"rank": rank, "alpha": alpha, "conv_rank": int(conv or 0), "conv_alpha": float(conv_alpha or 1.0)}


def _parts(arguments: Arguments) -> dict[str, bool]:
    return {
        "train_unet": not arguments["network_train_text_encoder_only"],
        "train_text_encoder": not arguments["network_train_unet_only"],
    }


def _beginning(arguments: Arguments) -> dict[str, Any]:
    """sd-scripts loads the weights and trains them at the alpha of the command line, so that is kept in effect."""
    weights = arguments["network_weights"] or ""
    files = arguments["base_weights"] or []
    strengths = arguments["base_weights_multiplier"] or []
    told = (f"{name}:{strengths[place] if place < len(strengths) else 1.0:g}" for place, name in enumerate(files))
    return {
        "continue_from": weights, "base_loras": ", ".join(told),
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


def tell_ignored(arguments: Arguments, result: Imported) -> None:
    """Names arguments that the module does not know: sd-scripts ignores them in silence."""
    lycoris = is_lycoris(arguments)
    for name, value in arguments.network.items():
        blockwise = name.startswith(("block_dims", "block_alphas", "conv_block_", "down_", "mid_", "up_"))
        if lycoris and blockwise and value:
            result.changed.append(f"network_args: {name} = {shown(value)}: {LYCORIS} ignores it; here it acts.")
