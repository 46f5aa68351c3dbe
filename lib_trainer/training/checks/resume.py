"""The run to go on with: whether it is there, and whether the settings are those it was trained with."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.outputs.job_folder import is_same_run
from lib_trainer.training.resume import agreement, run_record, search
from lib_trainer.training.resume.search import Found


def resume(config: TrainConfig, host: Host, findings: Findings) -> None:
    """Finds what `resume` means; tells faults and what will be otherwise than before."""
    try:
        found = search.find(config.resume, config.name, host.paths)
    except UserError as error:
        findings.faults.append(str(error))
        return
    if found is None:
        findings.warnings.append(f"There is no run of {config.name!r} to go on with, so it begins at the first step.")
        return
    findings.found = found
    findings.warnings += found.passed_over
    if found.is_of_phases:
        _phases(config, found, findings)
        return
    if found.state is None:
        findings.warnings.append(f"The run in {str(found.folder)!r} had not written a state yet, so it begins anew.")
        return
    settings(config, found.state.config, f"step {found.state.step + 1}", findings)


def own_files(config: TrainConfig, findings: Findings) -> frozenset[Path]:
    """Returns the files that the run to go on with, and runs inside it, have written: they may write them again."""
    found = findings.found
    if found is None or found.record is None or not is_same_run(config, found):
        return frozenset()
    inside = [run_record.read(path.parent) for path in found.folder.glob(f"*/{run_record.NAME}")]
    return frozenset(path for record in (found.record, *filter(None, inside)) for path in map(Path, record.files)
                     if record.is_own(path))


def _phases(config: TrainConfig, found: Found, findings: Findings) -> None:
    """A training of several runs: as a whole it goes on under its own name, and each run knows where it was."""
    if not is_same_run(config, found):
        name = found.record.name if found.record else ""
        findings.faults.append(f"resume = {config.resume!r}: this is the training {name!r} of several runs, which goes "
                               f"on under its own name only: set the name to {name!r}, or begin anew.")
        return
    through, of = found.progress
    if through == of and found.record and found.record.finished:  # else it was killed while it cleared up
        findings.faults.append(f"resume = {config.resume!r}: the training {config.name!r} has come to its end, so "
                               "there is nothing to go on with; begin anew under another name (empty resume).")
        return
    settings(config, found.settings, f"part {through + 1}", findings)


def settings(config: TrainConfig, before: Mapping[str, Any], where: str, findings: Findings) -> None:
    """Compares the settings with those of what it goes on with.

    Args:
        config: the settings. before: the former ones, by field name.
        where: from where on the present ones act, such as "step 7".
        findings: faults, changes and warnings are added.
    """
    changed, forbidden = agreement.settings(before, config)
    findings.faults += [
        f"resume = {config.resume!r}: {change}: this must stay as it was when the state was written; put it back, or "
        "begin anew." for change in forbidden
    ]
    findings.changes = [f"from {where} on {change}" for change in agreement.acting(changed)]
    if findings.changes:
        findings.warnings.append(f"Going on with other settings: {'; '.join(findings.changes)}.")
