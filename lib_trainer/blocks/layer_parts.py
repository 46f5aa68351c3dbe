"""Parts of layer names, as elemental rules name them: `attn`, `to_q`, `attn1.to_out`, `=proj`.

A part is looked for in the layer's usual name (see `spelling`), which is what the LoRA Block Weight extension does in
AUTOMATIC1111's WebUI; a part that no layer's usual name has (`conv1`, `resnets`, `time_emb_proj`) is looked for in its
other name. So a rule means the same layers whichever name a host or a file gives them. Dots and underscores are alike.
A part is found anywhere in a name; `=proj` is found only where the name has that very part: in `ff.net.0.proj`, not in
`q_proj` or `proj_in`.
"""
from __future__ import annotations

import difflib
import itertools
import re
from functools import lru_cache

from lib_trainer.blocks.spelling import other_name, usual_name

_LONG_PARTS = (
    "transformer_blocks", "input_blocks", "middle_block", "output_blocks", "down_blocks", "mid_block", "up_blocks",
    "in_layers", "out_layers", "emb_layers", "skip_connection", "time_embed", "label_emb", "time_embedding",
    "add_embedding", "time_emb_proj", "conv_in", "conv_out", "conv_norm_out", "conv_shortcut", "linear_1", "linear_2",
    "proj_in", "proj_out", "to_q", "to_k", "to_v", "to_out", "text_model", "self_attn", "q_proj", "k_proj", "v_proj",
    "out_proj", "in_proj", "layer_norm1", "layer_norm2", "final_layer_norm", "token_embedding", "position_embedding",
    "text_projection", "c_fc", "c_proj", "ln_1", "ln_2",
)
"""Parts with an underscore of their own, which tells them from two parts in a name with underscores only."""

_PART = re.compile(rf"({'|'.join(sorted(_LONG_PARTS, key=len, reverse=True))})(?=_|$)|[^_]+")

_RESNET = ("in_layers_0", "in_layers_2", "emb_layers_1", "out_layers_0", "out_layers_3", "skip_connection")
_ATTENTION = ("to_q", "to_k", "to_v", "to_out_0")
_TEXT_LAYER = ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj", "self_attn_out_proj", "mlp_fc1", "mlp_fc2",
               "layer_norm1", "layer_norm2")
_ALONE = ("input_blocks_0_0", "time_embed_0", "time_embed_2", "label_emb_0_0", "label_emb_0_2", "out_0", "out_2",
          "lora_te_text_model_embeddings_token_embedding", "lora_te_text_model_embeddings_position_embedding",
          "lora_te_text_model_final_layer_norm")


@lru_cache(maxsize=16384)
def has_part(layer: str, part: str) -> bool:
    """Whether a layer's name has a part.

    Args:
        layer: its name in any spelling.
        part: a part of names, with dots or underscores, a leading `=` for that very part; upper and lower case alike.
    """
    wanted, exactly = _wanted(part)
    name = usual_name(layer) if _is_usual(wanted, exactly) else other_name(layer)
    return _has(name, wanted, exactly)


@lru_cache(maxsize=256)
def near_part(part: str) -> str | None:
    """Tells whether a part can be in some layer's name.

    Returns:
        None when it can; otherwise the part that is most like it, "" when none is.
    """
    wanted, exactly = _wanted(part)
    if wanted and any(_has(name, wanted, exactly) for names in (_usual_names(), _other_names()) for name in names):
        return None
    known = sorted({one for name in (*_usual_names(), *_other_names()) for one in _parts(name) if not one.isdigit()})
    return next(iter(difflib.get_close_matches(wanted, ["attn", *known], 1)), "")


def _wanted(part: str) -> tuple[str, bool]:
    return part.removeprefix("=").replace(".", "_").lower(), part.startswith("=")


def _has(name: str, wanted: str, exactly: bool) -> bool:
    if not exactly:
        return wanted in name
    parts, pieces = _parts(name), _parts(wanted)
    return any(parts[start:start + len(pieces)] == pieces for start in range(len(parts)))


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(found[0] for found in _PART.finditer(name))


@lru_cache(maxsize=256)
def _is_usual(wanted: str, exactly: bool) -> bool:
    return any(_has(name, wanted, exactly) for name in _usual_names())


@lru_cache(maxsize=1)
def _usual_names() -> tuple[str, ...]:
    """The usual name of every layer that some Stable Diffusion of ours has, text encoders included."""
    attention = [f"1_transformer_blocks_{depth}_{rest}" for depth in range(10) for rest in (
        *(f"{attn}_{rest}" for attn in ("attn1", "attn2") for rest in _ATTENTION),
        "ff_net_0_proj", "ff_net_2", "norm1", "norm2", "norm3")]
    inside = [*(f"0_{part}" for part in _RESNET), "1_norm", "1_proj_in", "1_proj_out", *attention]
    places = [*(f"input_blocks_{number}" for number in range(1, 12)), "middle_block",
              *(f"output_blocks_{number}" for number in range(12))]
    layers = [
        *_ALONE,
        *(f"{place}_{part}" for place, part in itertools.product(places, inside)),
        *(f"middle_block_2_{part}" for part in _RESNET),
        *(f"input_blocks_{number}_0_op" for number in (3, 6, 9)),
        *("output_blocks_2_1_conv", "output_blocks_2_2_conv", "output_blocks_5_2_conv", "output_blocks_8_2_conv"),
        *(f"lora_te_text_model_encoder_layers_{number}_{part}"
          for number, part in itertools.product(range(32), _TEXT_LAYER)),
    ]
    return tuple(usual_name(layer) for layer in layers)


@lru_cache(maxsize=1)
def _other_names() -> tuple[str, ...]:
    return tuple(other_name(name) for name in _usual_names())
