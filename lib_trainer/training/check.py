"""What can be known to be wrong before a training starts: the settings, the disk, the loaded checkpoint.

All faults are reported together, each in one sentence with the remedy, so that a person mends the form once. What only
the model itself can tell (its device, its precision) is asked inside the first turn, see `check_model`.
"""
from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.scan import Scan, scan
from lib_trainer.errors import Problems, UserError
from lib_trainer.host import Checkpoint, Host, HostModel
from lib_trainer.training import base, config_rules, config_values
from lib_trainer.training.config import TrainConfig

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
_SAVES = r"(-\d{6}|-step\d{8})?"
"""What is added to a name by the saves between start and end."""


@dataclass
class Findings:
    """What a look at the disk and the checkpoint found.

    Attributes:
        faults: what must be mended, one sentence each.
        warnings: what the person should know.
        images: the training pictures. reg_images: the regularisation pictures. None where the folder is at fault.
        buckets: the sizes; None where the resolution or the checkpoint is at fault.
        base: the file of the checkpoint to train on, None = the loaded one. checkpoint: its facts, None = at fault.
    """

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    images: Scan | None = None
    reg_images: Scan | None = None
    buckets: Buckets | None = None
    base: Path | None = None
    checkpoint: Checkpoint | None = None


def read(values: Mapping[str, Any], host: Host) -> TrainConfig:
    """Returns the config of written values after looking at everything: settings, disk and checkpoint.

    Raises:
        Problems: all faults together.
    """
    fields, faults, bad = config_values.read(dataclasses.fields(TrainConfig), values)
    config = TrainConfig(**fields)
    faults = faults + config_rules.faults(config, bad) + examine(config, host, bad).faults
    if faults:
        raise Problems(faults)
    return config


def check(config: TrainConfig, host: Host) -> Findings:
    """Returns what was found when the run can start.

    Raises:
        Problems: all faults together.
    """
    findings = examine(config, host)
    faults = config_rules.faults(config) + findings.faults
    if faults:
        raise Problems(faults)
    findings.warnings += _traps(config)
    return findings


def examine(config: TrainConfig, host: Host, bad: frozenset[str] = frozenset()) -> Findings:
    """Looks at the disk and the checkpoint.

    Args:
        config: the settings.
        host: where to train.
        bad: fields whose value could not be read; they have their sentence already and are not looked at.
    """
    findings = Findings()
    if "base_model" not in bad:
        _base(config, host, findings)
    checkpoint = findings.checkpoint
    findings.faults += host.obstacles()
    if "name" not in bad:
        findings.faults += _name(config, host)
    if "images" not in bad:
        _pictures(config, findings)
    if checkpoint and not bad.intersection(("resolution", "buckets", "bucket_min", "bucket_max")):
        _sizes(config, checkpoint, findings)
    if checkpoint and config.clip_skip > 1 and not checkpoint.family.has_clip_skip:
        findings.warnings.append(f"Clip skip {config.clip_skip} does nothing: {checkpoint.family.label} always uses "
                                 "the last layer but one of its text encoders.")
    if checkpoint and config.continue_from:
        findings.faults += _continue_from(config, host, checkpoint)
    findings.faults += _hardware(config)
    previews = config.preview_prompts or config.preview_like_txt2img
    if previews and not (config.preview_every_steps or config.preview_every_epochs):
        findings.warnings.append(
            "Previews are set up, but 'Preview every N' is 0: they are drawn only when 'Sample now' is pressed."
        )
    return findings


def check_model(config: TrainConfig, model: HostModel) -> torch.dtype | None:
    """Returns the dtype to autocast to, None = compute as the model is.

    Raises:
        UserError: the precision cannot be had on this device or with these weights.
    """
    import torch

    wanted = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}.get(
        config.precision, model.compute_dtype
    )
    device = model.device.type
    if wanted == torch.float16 and device == "cpu" and config.precision == "fp16":
        raise UserError("precision = 'fp16': the model is on the CPU, which cannot train in fp16; use bf16 or fp32.")
    if wanted == torch.float32 and model.compute_dtype != torch.float32:
        raise UserError(
            f"precision = 'fp32': the host has loaded the model in {str(model.compute_dtype).removeprefix('torch.')}; "
            "use auto, or start the host so that it loads in fp32."
        )
    if wanted == model.compute_dtype and (wanted == torch.float32 or device == "cpu"):
        return None
    return wanted


def output_folder(config: TrainConfig, host: Host) -> Path:
    """Returns the folder of the finished LoRA."""
    return Path(config.output_folder).absolute() if config.output_folder else host.paths.loras


def find_lora(text: str, host: Host) -> Path | None:
    """Returns the LoRA file of a path, or of a name in the host's folder and its sub-folders; None if there is none."""
    for path in (Path(text), host.paths.loras / text, host.paths.loras / f"{text}{SUFFIX}"):
        if path.is_file():
            return path
    wanted = f"{Path(text).name.removesuffix(SUFFIX)}{SUFFIX}"
    return next((path for path in sorted(host.paths.loras.rglob("*" + SUFFIX)) if path.name == wanted), None)


def _base(config: TrainConfig, host: Host, findings: Findings) -> None:
    """The checkpoint to train on, and whether the host has to load it first."""
    try:
        findings.base = base.find(config.base_model, host)
        findings.checkpoint = host.checkpoint(findings.base)
    except UserError as error:
        findings.faults.append(str(error))
    else:
        findings.warnings += filter(None, [base.switch_note(findings.base, host)])


def _name(config: TrainConfig, host: Host) -> Iterator[str]:
    """The name, the folder it is saved to, and the files that are there already."""
    folder = output_folder(config, host)
    if not config.name:
        yield "Name is empty: write a name; the file becomes NAME.safetensors and the tag <lora:NAME:1>."
    if problem := _unwritable(folder):
        yield f"The LoRA cannot be saved to {str(folder)!r} ({problem}): choose another folder under 'Save to'."
    elif config.name:
        taken = re.compile(re.escape(config.name) + _SAVES + re.escape(SUFFIX), re.IGNORECASE)
        found = sorted(path.name for path in folder.glob("*" + SUFFIX) if taken.fullmatch(path.name))
        if found:
            files = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
            yield (f"The name {config.name!r} is taken ({files} in {str(folder)!r}) and nothing is overwritten: "
                   "choose another name, or move these files.")


def _unwritable(folder: Path) -> str:
    """Returns why nothing can be written into a folder (or the nearest one above, if it is yet to be made), or ""."""
    existing = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def _pictures(config: TrainConfig, findings: Findings) -> None:
    if not config.images:
        findings.faults.append("Picture folder is empty: give the folder with the pictures to train on.")
    else:
        findings.images = _scan(config, config.images, False, findings)
    if config.reg_images:
        findings.reg_images = _scan(config, config.reg_images, True, findings)


def _scan(config: TrainConfig, folder: str, is_reg: bool, findings: Findings) -> Scan | None:
    try:
        found = scan(folder, repeats=1 if is_reg else config.repeats, caption_extension=config.caption_extension,
                     trigger="" if is_reg else config.trigger, is_reg=is_reg)
    except UserError as error:
        findings.faults.append(str(error))
        return None
    findings.faults += found.problems
    findings.warnings += found.warnings
    findings.warnings += [f"{skip.path} is not used: {skip.reason}." for skip in found.skipped]
    return found


def _sizes(config: TrainConfig, checkpoint: Checkpoint, findings: Findings) -> None:
    try:
        width, height = config_rules.parse_resolution(config.resolution) or (checkpoint.resolution,) * 2
        findings.buckets = Buckets(
            width, height, checkpoint.family.bucket_step, enabled=config.buckets, minimum=config.bucket_min,
            maximum=config.bucket_max, no_upscale=config.bucket_no_upscale,
        )
        findings.warnings += findings.buckets.notes
    except UserError as error:
        if str(error) not in config_rules.faults(config):
            findings.faults.append(str(error))


def _continue_from(config: TrainConfig, host: Host, checkpoint: Checkpoint) -> Iterator[str]:
    from lib_trainer.lora import file

    where = f"continue_from = {config.continue_from!r}"
    path = find_lora(config.continue_from, host)
    if path is None:
        yield f"{where}: there is no such LoRA, neither as a file nor by name in {str(host.paths.loras)!r}; check it."
        return
    try:
        facts = file.inspect(path)
    except UserError as error:
        yield f"{where}: {error}"
        return
    if facts["family"] not in (None, checkpoint.family.name):
        yield (f"{where}: this LoRA was made for {facts['family']}, the checkpoint {checkpoint.name} is "
               f"{checkpoint.family.label}; choose a LoRA for it, or another checkpoint.")


def _hardware(config: TrainConfig) -> Iterator[str]:
    """What this machine cannot do at all; the model's own device is asked in `check_model`."""
    import torch

    from lib_trainer.training import optimizers

    accelerated = torch.cuda.is_available() or torch.backends.mps.is_available()
    if config.precision == "fp16" and not accelerated:
        yield "precision = 'fp16': this machine trains on the CPU, which cannot train in fp16; use auto, bf16 or fp32."
    try:
        name, row = optimizers.find(config.optimizer)
        optimizers.parse_args(config.optimizer_args)
    except UserError:
        return  # told by the rules of the settings already
    if row.needs_cuda and not torch.cuda.is_available():
        yield f"optimizer = {name!r}: it runs on NVIDIA cards only, and this machine has none; choose AdamW or Lion."
        return
    try:
        optimizers.arguments(name, config.optimizer_args)
    except UserError as error:
        yield f"optimizer: {error}"


def _traps(config: TrainConfig) -> list[str]:
    """Returns what is allowed but rarely meant."""
    from lib_trainer.training import optimizers
    from lib_trainer.training.learner import rates

    first = {part: rate.rates[0] for part, rate in rates(config).items()}
    return optimizers.warnings_for(config.optimizer, first, config.rank, config.alpha)
