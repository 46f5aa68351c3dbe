"""What a file's record says of its network: the module that other programs make it with, rank, alpha, arguments.

Kinds that sd-scripts' own modules train are named after these, all others after LyCORIS; the arguments are written as
`network_args` has them, so that a record can be trained again with either program.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lib_trainer.lora.adapters.facts import FACTS, LYCORIS_PRESETS
from lib_trainer.lora.adapters.form import Form
from lib_trainer.lora.adapters.making import Trainable
from lib_trainer.lora.choice import NetworkSpec
from lib_trainer.lora.network import Network

LYCORIS = "lycoris.kohya"

_THIN = ("lora", "lora_fa", "dylora")


@dataclass(frozen=True)
class Description:
    """One network.

    Attributes:
        module: sd-scripts' `network_module`.
        rank, alpha: of Linear and 1x1 layers; what the settings said, of a continued LoRA what its file has.
        arguments: `network_args` by name, as text.
    """

    module: str
    rank: int
    alpha: float
    arguments: dict[str, str]


def describe(network: Network, spec: NetworkSpec, continued: bool) -> Description:
    """Describes a network.

    Args:
        network: as it is trained.
        spec: what the settings asked for.
        continued: whether the layers are those of a file, whose kind, rank and alpha stand then.
    """
    layers = network.layers.values()
    rank, alpha = spec.rank, spec.alpha
    kernel = (spec.conv_rank, spec.conv_alpha) if spec.conv_rank else None
    if continued and network.algorithm not in ("oft", "boft"):  # their alpha is a bound, and has a name of its own
        rank, alpha = _found(layers, is_kernel=False) or (spec.rank, spec.alpha)
        kernel = _found(layers, is_kernel=True)
    module = LYCORIS if _is_lycoris(network, spec, continued) else FACTS[network.algorithm].module
    arguments = dict(_arguments(network, spec, continued, module))
    if kernel and network.algorithm != "oft_kohya":
        arguments |= {"conv_dim": str(kernel[0]), "conv_alpha": str(kernel[1])}
    return Description(module, rank, alpha, arguments)


def _found(layers: Iterable[Trainable], is_kernel: bool) -> tuple[int, float] | None:
    """Returns rank and alpha of the first layer of one sort that has both; of sd-scripts' OFT, how many blocks."""
    for layer in layers:
        if layer.is_kernel == is_kernel and layer.alpha is not None:
            blocks = layer.stored().get("oft_blocks")
            rank = layer.rank if blocks is None else blocks.shape[0]
            if rank is not None:
                return rank, float(f"{layer.alpha:.7g}")  # files hold it in single precision or less
    return None


def _is_lycoris(network: Network, spec: NetworkSpec, continued: bool) -> bool:
    """Whether only LyCORIS makes such a network."""
    if network.algorithm != "lora":
        return FACTS[network.algorithm].module == LYCORIS
    stored = {part for layer in network.layers.values() for part in layer.stored()}
    if {"dora_scale", "lora_mid.weight", "w_norm", "diff_b"} & stored:
        return True
    return not continued and (spec.form.scalar or spec.form.rs_lora or spec.layers != "attn-mlp")


def _arguments(network: Network, spec: NetworkSpec, continued: bool, module: str) -> Iterator[tuple[str, str]]:
    form = Form() if continued else spec.form
    if module == LYCORIS:
        yield "algo", FACTS[network.algorithm].algo or "lora"
        if not continued:
            yield "preset", LYCORIS_PRESETS[spec.layers]
        if any("dora_scale" in layer.stored() for layer in network.layers.values()):
            yield "dora_wd", "True"
        if not form.dora_on_output:
            yield "wd_on_output", "False"
    flags = {"rs_lora": form.rs_lora, "use_tucker": form.tucker, "use_scalar": form.scalar,
             "train_norm": spec.norms and not continued, "decompose_both": form.decompose_both,
             "full_matrix": form.full_matrix, "unbalanced_factorization": form.unbalanced, "rescaled": form.rescaled}
    yield from ((name, "True") for name, is_on in flags.items() if is_on)
    numbers = {"rank_dropout": spec.dropout.rank, "module_dropout": spec.dropout.module, "constraint": form.constraint}
    yield from ((name, f"{number:g}") for name, number in numbers.items() if number)
    if network.algorithm == "lokr" and not continued:
        yield "factor", str(form.factor)
    if network.algorithm == "oft_kohya":
        if any("_attn" not in name for name in network.layers):
            yield "enable_all_linear", "True"
        if any(layer.is_kernel for layer in network.layers.values()):
            yield "enable_conv", "True"
    if network.algorithm == "dylora":
        yield "unit", str(spec.form.unit)
