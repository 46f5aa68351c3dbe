"""Names of layers from a host's parameter names: `diffusion_model.input_blocks.4.1.proj_in.weight` without its dots.

The block of a layer is found from such a name as well as from a LoRA file's (see `lib_trainer.blocks.layers`).
"""
from __future__ import annotations

_ENCODERS = ("clip_l.", "clip_g.", "clip_h.")
"""How Forge's kin name their text encoders in front of the encoder's own names."""


def layer_of(key: str) -> str:
    """Returns the layer of a parameter.

    Args:
        key: "diffusion_model.out.2.bias", "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight".
    """
    for prefix in _ENCODERS:
        key = key.removeprefix(prefix)
    layer, _, parameter = key.rpartition(".")
    return (layer if parameter in ("weight", "bias") else key).replace(".", "_")
