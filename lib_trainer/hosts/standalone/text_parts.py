"""Where a checkpoint file keeps its text encoders, and their tensors and sizes as transformers names them.

Two builds occur: transformers' CLIP as it is, and open_clip's, whose names diffusers' converter translates: query, key
and value are thirds of one weight there, and the projection is stored for `x @ P` while a Linear layer multiplies by
the transpose.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

from lib_trainer.errors import UserError
from lib_trainer.families.family import Family
from lib_trainer.hosts.checkpoint_file import setting
from lib_trainer.hosts.kinds import Shapes
from lib_trainer.hosts.standalone.architecture import count

Tensors = dict[str, torch.Tensor]

SD15_WIDTH = 768
HEAD_WIDTH = 64


@dataclass(frozen=True)
class Source:
    """One text encoder in a file.

    Attributes:
        prefix: what its names begin with.
        is_open_clip: whether it is built as open_clip's.
        unused: layers at its end that the model never runs.
        pools: whether the model is told its pooled and projected vector.
    """

    prefix: str
    is_open_clip: bool = False
    unused: int = 0
    pools: bool = False


SOURCES: dict[str, tuple[Source, ...]] = {
    "sd1": (Source("cond_stage_model.transformer."),),
    "sd2": (Source("cond_stage_model.model.", is_open_clip=True, unused=1),),
    "sdxl": (Source("conditioner.embedders.0.transformer."),
             Source("conditioner.embedders.1.model.", is_open_clip=True, pools=True)),
}
"""The encoders by name of the family, in the order of `Family.text_encoders`."""


def of(family: Family) -> tuple[Source, ...]:
    """Returns the encoders of a family's files."""
    return SOURCES[family.name]


def tensors(source: Source, checkpoint: Mapping[str, torch.Tensor]) -> Tensors:
    """Returns an encoder's tensors by transformers' names.

    Raises:
        KeyError: it is not in the file.
    """
    own = {name: value for name, value in checkpoint.items() if name.startswith(source.prefix)}
    return _from_open_clip(source, own) if source.is_open_clip else _from_transformers(source, own)


def _from_transformers(source: Source, own: Tensors) -> Tensors:
    """Files made with transformers < 4.5 lack `text_model.`; `position_ids` (0 to 76) is a constant of some files."""
    named = {name.removeprefix(source.prefix): value for name, value in own.items()
             if not name.endswith("position_ids")}
    return {name if name.startswith("text_model.") else f"text_model.{name}": value for name, value in named.items()}


def _from_open_clip(source: Source, own: Tensors) -> Tensors:
    blocks = f"{source.prefix}transformer.resblocks."
    last = count(own, blocks) - source.unused
    kept = {name: value for name, value in own.items()
            if not name.startswith(blocks) or int(name[len(blocks):].split(".", 1)[0]) < last}
    width = own[source.prefix + "ln_final.weight"].shape[0]
    asked = SimpleNamespace(config=SimpleNamespace(projection_dim=width))
    named: Tensors = convert_open_clip_checkpoint(asked, kept, prefix=source.prefix)
    if not source.pools:
        named.pop("text_projection.weight", None)
    return named


def sizes(
    source: Source, shapes: Shapes, yaml_config: dict[str, object], folder_config: dict[str, object]
) -> dict[str, Any]:
    """Returns the arguments of transformers' `CLIPTextConfig`.

    Args:
        source: the encoder.
        shapes: of what `tensors` returns.
        yaml_config: the `.yaml` beside the checkpoint.
        folder_config: the text encoder's `config.json`, when the `.yaml` names a folder that has one.

    Raises:
        UserError: the number of heads is wrong or cannot be known.
        KeyError: a tensor is missing.
    """
    words, width = shapes["text_model.embeddings.token_embedding.weight"]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "projection_dim": shapes["text_projection.weight"][0] if source.pools else width,
        "intermediate_size": shapes["text_model.encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": count(shapes, "text_model.encoder.layers."),
        "num_attention_heads": _heads(width, yaml_config, folder_config),
        "max_position_embeddings": shapes["text_model.embeddings.position_embedding.weight"][0],
        "hidden_act": "gelu" if source.is_open_clip else "quick_gelu",
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    }


def _heads(width: int, yaml_config: dict[str, object], folder_config: dict[str, object]) -> int:
    """The folder's number, else one head for 64 columns, as in all of SD's encoders."""
    heads = folder_config.get("num_attention_heads")
    version = setting(yaml_config, "model", "params", "cond_stage_config", "params", "version")
    if heads is None and version and width != SD15_WIDTH:
        raise UserError(f"The .yaml beside the checkpoint names the text encoder's folder '{version}', but it has no "
                        "config.json. Put that folder beside the checkpoint.")
    if heads is None:
        return max(1, width // HEAD_WIDTH)
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise UserError(f"The text encoder's config.json says num_attention_heads {heads!r}, which does not divide "
                        f"its width {width}. Mend the config.json that came with the checkpoint.")
    return heads
