"""What the command line takes from accelerate: joining several processes, and logs for TensorBoard.

accelerate is imported here and nowhere else: inside a WebUI it would settle devices and precision for everybody.
"""
from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from lib_trainer.training.config import TrainConfig
    from lib_trainer.training.controls import Controls

T = TypeVar("T")

_PATIENCE = timedelta(hours=2)
"""How long processes wait for each other: process 0 draws previews and writes files meanwhile."""
_TRACKER = "network_train"
"""Name of a run in TensorBoard, as sd-scripts calls it."""
_NORMS = {
    "keys_scaled": "max_norm/keys_scaled", "max_norm": "max_norm/max_key_norm", "average_norm": "norm/avg_key_norm",
}
"""sd-scripts' names of what is told about the norms of weights."""


def launched() -> bool:
    """Whether `accelerate launch` or torchrun has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


class Processes:
    """The processes that were launched together; a `World`."""

    def __init__(self) -> None:
        """Joins them; waits until all are there."""
        import torch
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs

        patience = InitProcessGroupKwargs(timeout=_PATIENCE)
        self._accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[patience])

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self._accelerator.process_index)

    @property
    def size(self) -> int:
        """How many processes there are."""
        return int(self._accelerator.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Makes every gradient the sum of all processes', in one message."""
        import torch

        # A process without a sample has no gradients, but all must send as much.
        parts = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        flat = torch.cat([part.reshape(-1) for part in parts])
        torch.distributed.all_reduce(flat)
        for each, part in zip(parameters, flat.split([part.numel() for part in parts]), strict=True):
            each.grad = part.view_as(each)

    def gather(self, value: T) -> list[T]:
        """Returns what all processes gave, by rank."""
        import torch

        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value)
        return found

    def shared(self, controls: Controls) -> Controls:
        """Returns buttons that act in all processes at the same update."""
        from lib_trainer.training.shared_controls import SharedControls

        return SharedControls(controls, lambda wishes: self.gather(wishes)[0])

    def leave(self) -> None:
        """Ends the connection."""
        import torch

        torch.distributed.destroy_process_group()


class Tracker:
    """Writes the numbers of a run for TensorBoard, from its events, under sd-scripts' names."""

    def __init__(self, config: TrainConfig, job_folder: Path) -> None:
        """Begins a log.

        Args:
            config: the settings. job_folder: where the log lies when the settings name no folder.

        Raises:
            UserError: neither tensorboard nor tensorboardX is installed.
        """
        from accelerate import Accelerator
        from accelerate.utils import is_tensorboard_available

        from lib_trainer.training.learning import optimizers

        if not is_tensorboard_available():
            raise UserError("log_with = 'tensorboard': it is not installed, so no log is written; install it with "
                            "'pip install tensorboard', or leave log_with empty.")
        folder = Path(config.log_folder) if config.log_folder else job_folder / "logs"
        run = folder / (config.log_prefix + time.strftime("%Y%m%d%H%M%S"))
        self._accelerator: Accelerator = Accelerator(log_with="tensorboard", project_dir=run)
        self._accelerator.init_trackers(config.log_tracker or _TRACKER)
        self._rates = "lr/d*lr/" if optimizers.find(config.optimizer)[1].finds_rate else "lr/"
        self._epoch, self._average = 0, 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        """Writes what an event says in numbers."""
        if event["kind"] == "Stepped":
            self._end_epoch(event["epoch"])
            self._accelerator.log(self._numbers(event), step=event["step"])
            self._epoch, self._average = event["epoch"], event["average_loss"]
        elif event["kind"] == "Validated":
            by_timestep = {f"validation/timestep_{key}": loss for key, loss in event["by_timestep"].items()}
            self._accelerator.log({"validation/loss": event["loss"], **by_timestep}, step=event["step"])
        elif event["kind"] in ("Finished", "Failed"):
            self._end_epoch(self._epoch + 1)
            self._accelerator.end_training()

    def _end_epoch(self, now: int) -> None:
        """Writes the average loss of the former epoch when another one has begun."""
        if 0 < self._epoch < now:
            self._accelerator.log({"loss/epoch_average": self._average}, step=self._epoch)

    def _numbers(self, event: Mapping[str, Any]) -> dict[str, float]:
        rates = {f"{self._rates}{group}": rate for group, rate in event["lrs"].items()}
        norms = {_NORMS.get(name, f"norm/{name}"): value for name, value in event["norms"].items()}
        return {"loss/current": event["loss"], "loss/average": event["average_loss"], **rates, **norms}
