"""The previews: what is drawn of a prompt file, and whether anything is drawn at all."""
from __future__ import annotations

from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.training import preview_prompts
from lib_trainer.training.checks.findings import Findings
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.strengths import asked


def previews(config: TrainConfig, host: Host, findings: Findings) -> None:
    """Looks at the prompts."""
    try:
        found = preview_prompts.prompts(config)
    except UserError as error:
        if config.preview_file and str(error).startswith("The prompt file"):
            findings.faults.append(f"preview_file = {config.preview_file!r}: {error}")
        return  # lines of the form are told by the rules of the settings
    findings.warnings += [note for prompt in found for note in prompt.notes]
    samplers = dict.fromkeys(prompt.request.sampler for prompt in found)
    findings.warnings += [
        f"There is no sampler '{name}' here: previews are drawn with the default one, {host.samplers()[0]}."
        for name in samplers if not preview_prompts.has_sampler(host, name)
    ]
    times = config.preview_every_steps or config.preview_every_epochs or config.preview_at_first
    if found and not times and not asked.wanted(config):
        findings.warnings.append(
            "Previews are set up, but 'Preview every N' is 0: they are drawn only when 'Sample now' is pressed."
        )
    if times and not found:
        findings.warnings.append(
            "Previews are to be drawn, but there is no prompt: write some under 'Preview prompts'.")
