"""The run to go on with: whether it is there, and whether the settings are those it was trained with."""
from __future__ import annotations

from pathlib import Path

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.outputs.job_folder import is_same_run
from lib_trainer.training.resume import agreement, search
from lib_trainer.training.resume.state_folder import State


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
    if found.state is None:
        findings.warnings.append(f"The run in {str(found.folder)!r} had not written a state yet, so it begins anew.")
        return
    _settings(config, found.state, findings)


def own_files(config: TrainConfig, findings: Findings) -> frozenset[Path]:
    """Returns the files that the run to go on with has written itself: it may write them again."""
    found = findings.found
    if found is None or found.record is None or not is_same_run(config, found):
        return frozenset()
    return frozenset(path for path in map(Path, found.record.files) if found.record.is_own(path))


def _settings(config: TrainConfig, state: State, findings: Findings) -> None:
    changed, forbidden = agreement.settings(state.config, config)
    findings.faults += [
        f"resume = {config.resume!r}: {change}: this must stay as it was when the state was written; put it back, or "
        "begin anew." for change in forbidden
    ]
    findings.changes = [f"from step {state.step + 1} on {change}" for change in agreement.acting(changed)]
    if findings.changes:
        findings.warnings.append(f"Going on with other settings: {'; '.join(findings.changes)}.")
