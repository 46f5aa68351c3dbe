"""A `Backend` for tests of what the WebUIs share: the embedded host's small model inside the doubles of a WebUI.

Nothing of the three programs' own is in it: no merging of LoRAs, no inference tensors. What is tested with it is the
lock, the lease, the previews, the progress.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch

from lib_trainer.blocks.elements import NO_ELEMENTS
from lib_trainer.blocks.presets import SHIPPED, PresetsFile
from lib_trainer.errors import UserError
from lib_trainer.host_model import Checkpoint, Picture, PreviewRequest, Target
from lib_trainer.hosts.standalone import drawing
from lib_trainer.hosts.standalone.lease import restored
from lib_trainer.hosts.standalone.loader import LoadedModel, load
from lib_trainer.hosts.standalone.loras import LoraShelf, Meanings
from lib_trainer.hosts.standalone.model import StandaloneModel
from lib_trainer.hosts.webui.backend import Weighted
from lib_trainer.txt2img_host import GenerateRequest


@functools.cache
def _loaded(path: Path) -> LoadedModel:
    """Read once for all tests: none of them may change a weight."""
    return load(path, torch.device("cpu"), torch.float32)


class Model:
    """What `shared.sd_model` is: draws as the doubles ask, through the host's sampler loop of one seed."""

    def __init__(self, info: Any) -> None:
        self.loaded = _loaded(Path(info.filename))
        self.sd_checkpoint_info = info
        self.is_lent = False

    def said(self, text: str) -> str:
        """Stands for the states of a prompt."""
        return text

    def paint(self, p: Any, prompt: str, negative: str, seed: int) -> Any:
        """Returns a picture; what the prompt was encoded to comes from the host's cache where that knows it."""
        assert not self.is_lent, "drawn while trainable weights were lent"
        torch.randn(1)  # the hosts' samplers use the process-wide generator too
        text, _ = p.conds(prompt, negative, self.said)
        request = GenerateRequest(text, negative, seed=seed, steps=p.steps, cfg=p.cfg_scale, width=p.width,
                                  height=p.height, sampler="Euler")
        watch = drawing.Watch(interrupt=_stopper(p))
        asked = drawing.complete(request, self.loaded)
        shelf, meanings = LoraShelf(Path("nowhere")), Meanings(PresetsFile(SHIPPED).current(), NO_ELEMENTS)
        with closing(drawing.draw(asked, self.loaded, "", shelf, meanings, watch, None)) as made:
            picture = next(made, None)
        if picture is None:
            from PIL import Image

            return Image.new("RGB", (asked.width, asked.height))
        return picture.image


def _stopper(p: Any) -> Callable[[], bool]:
    done = iter(range(1, 1000))
    return lambda: not p.step_done(next(done))


class EmbeddedBackend:
    """`Backend` over `Model`."""

    def __init__(self) -> None:
        self.forgotten: list[Path] = []

    @property
    def name(self) -> str:
        return "Double"

    def _model(self) -> Model:
        from modules import shared

        model: Model | None = shared.sd_model
        if model is None:
            raise UserError("No checkpoint is loaded.")
        return model

    def checkpoint(self) -> Checkpoint:
        return self._model().loaded.checkpoint

    def identity(self) -> Hashable:
        from modules import shared

        return None if shared.sd_model is None else shared.sd_model.loaded.identity

    def obstacles(self) -> list[str]:
        return []

    fp8_option, moves_networks = "", False

    def stores_in_fp8(self) -> bool | None:
        return False

    @contextmanager
    def borrowed(self, draw: Callable[[PreviewRequest], Picture]) -> Iterator[StandaloneModel]:
        model = self._model()

        def drawn(request: PreviewRequest) -> Picture:
            model.is_lent = False
            try:
                return draw(request)
            finally:
                model.is_lent = True

        model.is_lent = True
        try:
            with restored(model.loaded):
                yield StandaloneModel(model.loaded, drawn, lambda: model.loaded.unet)
        finally:
            model.is_lent = False

    @contextmanager
    def live_targets(self) -> Iterator[Sequence[Target]]:
        yield list(self._model().loaded.targets)

    def load(self, path: Path) -> None:
        from modules import sd_models
        from modules.shared import opts

        info = next((info for info in sd_models.checkpoints_list.values() if Path(info.filename) == path), None)
        if info is None:
            raise UserError(f"'{path}' is not in the list of checkpoints.")
        opts.set("sd_model_checkpoint", info.title, run_callbacks=False)
        sd_models.reload_model_weights(info=info)

    def forget_lora(self, path: Path) -> None:
        self.forgotten.append(path)

    def unknown_loras(self, names: Sequence[str]) -> list[str]:
        return []

    def weigh(self, processing: Any, loras: Sequence[Weighted]) -> list[str]:
        return []

    def unweigh(self, processing: Any) -> None:
        pass
