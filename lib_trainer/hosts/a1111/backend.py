"""AUTOMATIC1111 as a `Backend`: which checkpoint is loaded, its weights for a turn, and its loader."""
from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from lib_trainer.errors import ModelChanged, UserError
from lib_trainer.host_model import Checkpoint, HostModel, Picture, PreviewRequest, Target
from lib_trainer.hosts.a1111 import forgetting, obstacles
from lib_trainer.hosts.a1111.cleared import cleared, mergeable
from lib_trainer.hosts.a1111.fused import taken_apart
from lib_trainer.hosts.a1111.loaded import Loaded, facts, model_in_memory
from lib_trainer.hosts.a1111.model import A1111Model
from lib_trainer.hosts.a1111.weights import LoadedNetworks
from lib_trainer.hosts.webui import checkpoints
from lib_trainer.hosts.webui.backend import Weighted
from lib_trainer.hosts.webui.lending import flags_lent


def make() -> A1111Backend:
    """Returns the backend; looks at no model yet."""
    return A1111Backend()


class A1111Backend:
    """`Backend` over the model that the host holds; see the port for every method's contract."""

    def __init__(self) -> None:
        self._known: Loaded | None = None
        self._networks = LoadedNetworks()

    @property
    def name(self) -> str:
        """Name of the program for people."""
        return "AUTOMATIC1111"

    def checkpoint(self) -> Checkpoint:
        """Facts of the model in memory."""
        return facts(model_in_memory())

    def identity(self) -> Hashable:
        """The file and its hash; None while no model is loaded."""
        from modules import sd_models

        model = sd_models.model_data.sd_model
        return model and (model.sd_checkpoint_info.filename, model.sd_model_hash)

    def obstacles(self) -> list[str]:
        """What of the present settings forbids training."""
        return obstacles.found()

    fp8_option = ("Set Settings > Optimizations > FP8 weight to Enable (Enable for SDXL is enough for SDXL) and load "
                  "the checkpoint again.")
    moves_networks = False

    def stores_in_fp8(self) -> bool | None:
        """Whether the host has stored the weights in 8 bits; None while no model is loaded."""
        from modules import devices, sd_models

        return None if sd_models.model_data.sd_model is None else bool(devices.fp8)

    @contextmanager
    def borrowed(self, draw: Callable[[PreviewRequest], Picture]) -> Iterator[HostModel]:
        """Clean, trainable weights while open.

        Raises:
            UserError: a setting that forbids training was switched on.
        """
        if found := obstacles.found():
            raise UserError(" ".join(found))
        fit = _Fit(self._loaded())
        with fit.hooks_act():
            fit.take()
            try:
                yield A1111Model(fit.loaded, lambda request: fit.draw(draw, request))
            finally:
                fit.give_back()

    @contextmanager
    def live_targets(self) -> Iterator[Sequence[Target]]:
        """The targets of the model as the host draws with it."""
        fit = _Fit(self._loaded())
        with fit.hooks_act():
            yield [*fit.loaded.targets, *fit.loaded.other_targets()]

    def _loaded(self) -> Loaded:
        model = model_in_memory()
        if self._known is None or not self._known.is_still(model):
            self._known = Loaded(model)
        return self._known

    def load(self, path: Path) -> None:
        """Has the host load and select a checkpoint; a file that it does not list is added to its list.

        Raises:
            UserError: it cannot.
        """
        from modules import sd_models
        from modules.shared import opts
        from safetensors import SafetensorError

        info = checkpoints.record(path)
        try:
            sd_models.reload_model_weights(info=info)
        except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ImportError,
                SafetensorError, pickle.UnpicklingError) as error:
            raise UserError(f"{self.name} cannot load '{path.name}' ({type(error).__name__}: {error}).") from error
        model = sd_models.model_data.sd_model
        if model is None or Path(model.sd_checkpoint_info.filename) != Path(info.filename):
            raise UserError(f"{self.name} did not load '{path.name}'. Its log in the terminal says why.")
        opts.set("sd_model_checkpoint", info.title, run_callbacks=False)  # else the next picture loads the old one

    def forget_lora(self, path: Path) -> None:
        """Drops what the host remembers of a LoRA file: its network, what is merged of it, text states made with it."""
        from modules import sd_models

        forgetting.forget(path, mergeable(sd_models.model_data.sd_model))

    def unknown_loras(self, names: Sequence[str]) -> list[str]:
        """None: this host draws with the others and tells the person itself."""
        return []

    def weigh(self, processing: Any, loras: Sequence[Weighted]) -> list[str]:
        """Gives the activated LoRAs their block weights."""
        return self._networks.weigh(loras, self.checkpoint().family.arch)

    def switch(self, processing: Any, loras: Sequence[Weighted]) -> None:
        """Exchanges the weighted networks: every layer compares them before it runs and merges what changed."""
        self._networks.put_back()
        self._networks.weigh(loras, self.checkpoint().family.arch)

    def unweigh(self, processing: Any) -> None:
        """Undoes `weigh`."""
        self._networks.put_back()


class _Fit:
    """The model of one turn, put into the state in which it can be trained and back, also around a preview."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._taken = ExitStack()

    @contextmanager
    def hooks_act(self) -> Iterator[None]:
        """While open, forward hooks on the targets act, whoever runs the model."""
        with taken_apart(self.loaded.fused, _merge_loras):
            yield

    def take(self) -> None:
        """Makes the weights clean and trainable."""
        with ExitStack() as stack:
            stack.enter_context(cleared(self.loaded.sd_model, self.loaded.mergeable))
            stack.enter_context(flags_lent(self.loaded.modules, self.loaded.weights))
            self._taken = stack.pop_all()

    def give_back(self) -> None:
        """Puts everything back as it was found; does nothing when it is back already."""
        self._taken.pop_all().close()

    def draw(self, draw: Callable[[PreviewRequest], Picture], request: PreviewRequest) -> Picture:
        """Draws with the model as the host draws with it.

        Raises:
            ModelChanged: drawing has switched to another checkpoint.
        """
        self.give_back()
        try:
            return draw(request)
        finally:
            self._require_model()
            self.take()

    def _require_model(self) -> None:
        if not self.loaded.is_still(model_in_memory()):
            raise ModelChanged(f"The preview has loaded another checkpoint than '{self.loaded.checkpoint.name}'. "
                               "Take the checkpoint out of its settings.")


def _merge_loras(attention: torch.nn.Module) -> None:
    """Has the host merge a generation's LoRAs into an attention, as its own forward would."""
    networks = sys.modules.get("networks")  # the host's Lora extension can be switched off
    if networks is not None:
        networks.network_apply_weights(attention)
