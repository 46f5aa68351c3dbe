"""What is known of every kind of network that can be trained, without torch: names, which settings they take.

The settings' choices, the rules and the record in a file are made of this table; how a kind begins and what it does to
a weight is in `kinds`.
"""
from __future__ import annotations

from dataclasses import dataclass

RANK, CONV, TUCKER, SCALAR, DORA, RS = "rank", "conv_rank", "tucker", "use_scalar", "dora", "rs_lora"
NETWORK_DROPOUT, RANK_DROPOUT = "network_dropout", "rank_dropout"
FACTOR, DECOMPOSE, FULL_MATRIX, UNBALANCED = "factor", "decompose_both", "full_matrix", "unbalanced"
CONSTRAINT, RESCALED, UNIT, NORM = "constraint", "rescaled", "dylora_unit", "train_norm"

OPTIONS = (
    TUCKER, SCALAR, DORA, RS, NETWORK_DROPOUT, RANK_DROPOUT, FACTOR, DECOMPOSE, FULL_MATRIX, UNBALANCED, CONSTRAINT,
    RESCALED, UNIT, NORM,
)
"""Settings that only some kinds take, by field name."""


@dataclass(frozen=True)
class KindFacts:
    """One kind.

    Attributes:
        label: name for people.
        file_kind: what `algorithms.registry` calls a layer of such a file.
        takes: the settings of OPTIONS that mean something for it, and RANK where it has one.
        module: sd-scripts' network module that trains the same. algo: LyCORIS' name of it, "" outside LyCORIS.
        needs_lycoris: whether its mathematics are the package lycoris-lora's.
        prefix: what U-Net layers are called in its files in place of `lora_unet_`.
    """

    label: str
    file_kind: str
    takes: frozenset[str]
    module: str = "lycoris.kohya"
    algo: str = ""
    needs_lycoris: bool = False
    prefix: str = ""


_THIN = frozenset({RANK, RANK_DROPOUT, NORM})
_LOW_RANK = _THIN | {SCALAR, DORA, RS}

FACTS: dict[str, KindFacts] = {
    "lora": KindFacts("LoRA", "lora", _LOW_RANK | {TUCKER, NETWORK_DROPOUT}, "networks.lora", "lora"),
    "lora_fa": KindFacts("LoRA-FA", "lora", frozenset({RANK, NETWORK_DROPOUT, RANK_DROPOUT}), "networks.lora_fa"),
    "dylora": KindFacts("DyLoRA", "lora", frozenset({RANK, UNIT}), "networks.dylora"),
    "loha": KindFacts("LoHa", "loha", _LOW_RANK | {TUCKER}, algo="loha", needs_lycoris=True),
    "lokr": KindFacts("LoKr", "lokr", _LOW_RANK | {TUCKER, FACTOR, DECOMPOSE, FULL_MATRIX, UNBALANCED}, algo="lokr",
                      needs_lycoris=True),
    "ia3": KindFacts("(IA)^3", "ia3", frozenset({RANK_DROPOUT, NORM}), algo="ia3"),
    "oft": KindFacts("OFT", "oft", _THIN | {CONSTRAINT, RESCALED}, algo="diag-oft", needs_lycoris=True),
    "oft_kohya": KindFacts("OFT of sd-scripts", "oft", frozenset({RANK}), "networks.oft", needs_lycoris=True,
                           prefix="oft_unet_"),
    "boft": KindFacts("BOFT", "oft", _THIN | {CONSTRAINT, RESCALED}, algo="boft", needs_lycoris=True),
    "glora": KindFacts("GLoRA", "glora", _THIN | {SCALAR, RS}, algo="glora"),
    "full": KindFacts("full difference", "full", frozenset({RANK_DROPOUT, NORM}), algo="full"),
}
"""By the value of the setting `algorithm`."""

LAYER_SETS = ("attn-mlp", "attn-only", "full", "full-lin", "convolutions", "ia3")
"""Values of the setting `layers`; what they mean is in `choice`."""

LYCORIS_PRESETS = {"full": "full", "full-lin": "full-lin", "attn-mlp": "attn-mlp", "attn-only": "attn-only",
                   "convolutions": "unet-convblock-only", "ia3": "ia3"}
"""Value of `layers` -> LyCORIS' name of the preset with these U-Net layers."""


def takers(option: str) -> list[str]:
    """Returns the labels of the kinds that take a setting."""
    return [facts.label for facts in FACTS.values() if option in facts.takes]
