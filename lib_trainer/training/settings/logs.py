"""Logs for TensorBoard, written by the command line."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class LogSettings:
    """Logs for TensorBoard, written by the command line."""

    log_with: str = setting("", "Log with", "tensorboard: losses, rates and norms for TensorBoard. Written by the "
        "command line only; on this page the chart shows them. Empty = no log.", "Saving",
        choices=("", "tensorboard"), part="Logs for TensorBoard")
    log_folder: str = setting("", "Log folder", "Every run gets a folder with its time in it. Empty = logs in the "
        "job's folder.", "Saving", "logging_dir", path=True, part="Logs for TensorBoard")
    log_prefix: str = setting("", "Log prefix", "Begins the name of the run's log folder.", "Saving",
        part="Logs for TensorBoard")
    log_tracker: str = setting("", "Log name", "Name of the run in TensorBoard; empty = network_train, as in "
        "sd-scripts.", "Saving", "log_tracker_name", part="Logs for TensorBoard")
