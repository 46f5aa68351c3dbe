"""A small host whose model has all that SDXL has beside SD 1.x: layer names, two encoders, pooled text, size ids.

It lends the embedded host's tiny model under SDXL's names. Pooled text and size ids act: their vector shifts the text
states, so that a training that loses or mixes them up learns something else.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from lib_trainer.families import ldm
from lib_trainer.families.sd1 import SD1
from lib_trainer.families.sdxl import SDXL
from lib_trainer.host import Checkpoint, Conditioning, Target
from lib_trainer.hosts import size_ids
from lib_trainer.hosts.standalone.host import StandaloneHost
from lib_trainer.hosts.standalone.lease import StandaloneLease
from lib_trainer.hosts.standalone.loader import LoadedModel
from lib_trainer.hosts.standalone.model import StandaloneModel


def sdxl_name(name: str) -> str:
    """Returns SDXL's name of a layer of SD 1.x; the encoder's first layer is the second encoder."""
    if name.startswith("lora_te_"):
        return name.replace("lora_te_", "lora_te2_" if "layers_0_" in name else "lora_te1_")
    return str(ldm.unet_layer(ldm.unet_path(name, SD1) or "", SDXL))


class SdxlModel(StandaloneModel):
    """The tiny model as an SDXL.

    Attributes:
        told: the size ids of every prediction.
    """

    told: list[list[float]]

    @property
    def checkpoint(self) -> Checkpoint:
        return dataclasses.replace(super().checkpoint, family=SDXL)

    def targets(self) -> list[Target]:
        return [Target(sdxl_name(target.name), target.module) for target in super().targets()]

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False
    ) -> Conditioning:
        hidden = super().encode_captions(captions, 2, chunks, grad).hidden
        return Conditioning(hidden, pooled=hidden[:, -1])

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        assert cond.pooled is not None and cond.sizes is not None
        assert cond.sizes.shape == (len(noisy), 6) and cond.sizes.dtype == torch.float32
        self.told += cond.sizes.tolist()
        y = size_ids.vector(cond.pooled, cond.sizes)
        weight = torch.randn(y.shape[1], cond.hidden.shape[2], generator=torch.Generator().manual_seed(1)) / 40
        return super().predict(noisy, timesteps, Conditioning(cond.hidden + (y @ weight)[:, None]))


class SdxlHost(StandaloneHost):
    """The embedded host as one that has an SDXL loaded."""

    def __init__(self, model_file: Path, host: StandaloneHost) -> None:
        super().__init__(model_file, host.paths)
        self.told: list[list[float]] = []

    def checkpoint(self, base: Path | None = None) -> Checkpoint:
        return dataclasses.replace(super().checkpoint(base), family=SDXL)

    def _lend(self, loaded: LoadedModel) -> StandaloneModel:
        model = SdxlModel(loaded, self._preview)
        model.told = self.told
        return model

    @contextmanager
    def borrow_model(self, base: Path | None = None) -> Iterator[StandaloneLease]:
        self.told.clear()
        with super().borrow_model(base) as lease:
            yield lease
