"""What training in rounds needs beside pictures: the checkpoint's file, a free name for the result, room."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.lora import file
from lib_trainer.training.checks.files import SUFFIX
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.methods import rounds
from lib_trainer.training.settings.rounds import LORA

SESSION = "relora.session"
"""Key of a merged checkpoint's metadata: the number of the training that wrote it."""

_NO_WARMUP = ("", "0")


def faults(config: TrainConfig, host: Host, findings: Findings) -> Iterator[str]:
    """Faults that the disk and the host tell."""
    if findings.checkpoint and findings.base is None and findings.checkpoint.path is None:
        yield ("method = relora: the host does not say which file the loaded checkpoint is, so it cannot be merged "
               "into. Give the file's path under base_model.")
    if config.round_result == LORA or not config.name:
        return
    if host.paths.checkpoints is None:
        yield (f"round_result = {config.round_result}: this host does not say where its checkpoints lie. Set "
               f"round_result = {LORA}.")
        return
    path = result_checkpoint(config, host)
    known = findings.found.record if findings.found else None
    is_foreign = path.exists() and (known is None or not is_own(path, known.session))
    taken = path if is_foreign else _taken_config(path, findings)
    if taken:
        yield (f"The name {config.name!r} is taken (the checkpoint's {taken.name} in {str(taken.parent)!r}) and "
               "nothing is overwritten: choose another name, or move this file.")


def warnings(config: TrainConfig, findings: Findings) -> Iterator[str]:
    """What the person should know before the start."""
    if config.warmup.strip() in _NO_WARMUP:
        yield ("Every round begins with fresh weights and a fresh optimiser, whose first steps are rough at the full "
               "rate: set a warm-up, such as 5% (with the schedule constant_with_warmup or cosine).")
    try:
        size = base_file(findings).stat().st_size
        told = rounds.rate_factors(config.round_rate, config.rounds)
    except (OSError, UserError):
        return  # told as faults
    copies = min(2, config.rounds - 1)
    yield (f"{config.rounds} rounds with the learning rates times {rounds.factors_in_words(told)}. While it trains, "
           f"up to {copies} private {'copy' if copies == 1 else 'copies'} of the checkpoint (each {size / 1e9:.2f} GB) "
           "lie in the job's folder; they go when it ends.")


def base_file(findings: Findings) -> Path:
    """Returns the file of the checkpoint to train on.

    Raises:
        UserError: nobody knows it.
    """
    known = findings.base or (findings.checkpoint.path if findings.checkpoint else None)
    if known is None:
        raise UserError("The file of the checkpoint is not known. Give its path under base_model.")
    return known


def result_checkpoint(config: TrainConfig, host: Host) -> Path:
    """Returns where the checkpoint of all rounds is written.

    Raises:
        UserError: the host does not say where its checkpoints lie.
    """
    if host.paths.checkpoints is None:
        raise UserError("This host does not say where its checkpoints lie.")
    return host.paths.checkpoints / f"{config.name}{SUFFIX}"


def _taken_config(path: Path, findings: Findings) -> Path | None:
    """Returns the `.yaml` that stands where that of the checkpoint would be written, if it is another one."""
    try:
        config = base_file(findings).with_suffix(".yaml")
        there = path.with_suffix(".yaml")
        is_other = config.exists() and there.exists() and config.read_bytes() != there.read_bytes()
    except (OSError, UserError):
        return None  # told by whoever needs it
    return there if is_other else None


def is_own(path: Path, session: int) -> bool:
    """Whether a checkpoint was written by the training with this number."""
    try:
        return file.read_header(path)[1].get(SESSION) == str(session)
    except UserError:
        return False
