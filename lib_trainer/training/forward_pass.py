"""What the model says of noisy latents: as it is trained, and as it was before the training.

Captions are encoded here where their states are not cached, and a family that knows sizes is told them. The untouched
model is asked wherever a method learns from what the model itself says: differential output preservation, ADDifT, LECO.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from lib_trainer.data.sample import Sample
from lib_trainer.host_model import Conditioning, HostModel
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.micro_batch import Inputs


def predict(
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample], states: Conditioning | None,
    noisy: Tensor, timesteps: Tensor,
) -> Tensor:
    """Returns what the model says of noisy latents at their timesteps, (B, 4, h, w), in the precision of the run.

    Args:
        config, inputs, model: of the run.
        samples: B samples, for their captions and sizes.
        states: their cached text states; None = encode the captions.
        noisy: (B, 4, h, w). timesteps: (B,) int64. Both on the model's device.
    """
    autocast = torch.autocast(model.device.type, inputs.autocast) if inputs.autocast else nullcontext()
    with autocast:
        return model.predict(noisy, timesteps, conditioning(config, inputs, model, samples, states))


def predict_untouched(
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample],
    cached: Callable[[], Conditioning | None], noisy: Tensor, timesteps: Tensor,
) -> Tensor:
    """Returns what the model says without the adapters of U-Net and text encoder, (B, 4, h, w), without graph.

    Args:
        config, inputs, model, samples, noisy, timesteps: as in `predict`.
        cached: returns the samples' cached text states, as `states` in `predict`. It is not asked where a LoRA is
            continued: that one may act on the encoder, and was acting when the states were cached.
    """
    states = None if config.continue_from else cached()
    with torch.no_grad(), inputs.without_adapters():
        return predict(config, replace(inputs, text_grad=False), model, samples, states, noisy, timesteps)


def conditioning(
    config: TrainConfig, inputs: Inputs, model: HostModel, samples: Sequence[Sample], states: Conditioning | None
) -> Conditioning:
    """Returns what the U-Net is told about samples, on the model's device: captions, and sizes where it knows them."""
    if states is None:
        captions = [sample.caption for sample in samples]
        states = model.encode_captions(
            captions, config.clip_skip, chunks(config), grad=inputs.text_grad, weighted=config.weighted_captions)
    sizes = None
    if model.checkpoint.family.has_size_ids:
        sizes = torch.tensor([sample.size_ids for sample in samples], dtype=torch.float32, device=model.device)
    pooled = None if states.pooled is None else states.pooled.to(model.device)
    return Conditioning(states.hidden.to(model.device), pooled, sizes)


def chunks(config: TrainConfig) -> int:
    """Returns how many pieces of 75 tokens a caption may have."""
    return int(config.max_tokens) // 75
