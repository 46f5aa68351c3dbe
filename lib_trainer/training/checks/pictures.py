"""The picture folders and the sizes."""
from __future__ import annotations

from lib_trainer.data.buckets import Buckets
from lib_trainer.data.scan import Scan, scan
from lib_trainer.errors import UserError
from lib_trainer.host import Checkpoint
from lib_trainer.training import config_rules
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.rules.data import parse_resolution


def pictures(config: TrainConfig, findings: Findings) -> None:
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


def sizes(config: TrainConfig, checkpoint: Checkpoint, findings: Findings) -> None:
    try:
        width, height = parse_resolution(config.resolution) or (checkpoint.resolution,) * 2
        findings.buckets = Buckets(
            width, height, checkpoint.family.bucket_step, enabled=config.buckets, minimum=config.bucket_min,
            maximum=config.bucket_max, no_upscale=config.bucket_no_upscale,
        )
        findings.warnings += findings.buckets.notes
    except UserError as error:
        if str(error) not in config_rules.faults(config):
            findings.faults.append(str(error))
