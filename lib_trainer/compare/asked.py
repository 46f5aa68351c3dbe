"""An analysis as a person asks for it: the same use case for the page, the API and the command line."""
from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from lib_trainer.compare import picture_run, quick, ranking
from lib_trainer.compare.analysis import MODES, QUICK
from lib_trainer.compare.block_groups import AUTO, Group, parse_groups
from lib_trainer.compare.cost import Cost, Progress
from lib_trainer.compare.picture_run import Drawing, Findings
from lib_trainer.compare.pictures import Settings
from lib_trainer.compare.probe import Look, Probe
from lib_trainer.compare.subject import Subject, subject
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.host_model import PreviewRequest


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        lora: its name in tags. file: its file.
        prompt: the prompt; a tag of the LoRA is added when there is none.
        mode: "quick" (predictions) or "pictures".
        keep: the part of the effect that the proposal keeps, above 0 and at most 1.
        blocks: what is examined: groups between commas, `17ALL` ..., or `AUTO`.
        seed: of the noise, >= 0; several seeds count up from it.
        settings: how pictures are compared.
        drawing: how pictures are drawn, but for prompt and seed; its clip skip serves the quick mode, too.
    """

    lora: str
    file: Path
    prompt: str
    mode: str = QUICK
    keep: float = ranking.KEEP
    blocks: str = AUTO
    seed: int = 1
    settings: Settings = field(default_factory=Settings)
    drawing: PreviewRequest = field(default_factory=lambda: PreviewRequest(""))

    def __post_init__(self) -> None:
        ranking.require_part(self.keep)
        if self.mode not in MODES:
            raise UserError(f"The analysis measures by {' or '.join(MODES)}, got '{self.mode}'.")
        if self.seed < 0:
            raise UserError(f"The seed of an analysis must be 0 or more, got {self.seed}.")


@dataclass(frozen=True)
class Plan:
    """What will be measured.

    Attributes:
        subject: the LoRA in its prompt. groups: what is examined. told: sentences about what is left out.
    """

    asked: Asked
    subject: Subject
    groups: list[Group]
    told: list[str]

    def cost(self, each: float = 0.0) -> Cost:
        """Returns what it takes; `each` = seconds of one measurement, 0 = not known."""
        if self.asked.mode == QUICK:
            return quick.cost(self.groups, each)
        return picture_run.cost(self.groups, self.asked.settings, each)

    def measure_one(self, host: Host) -> float:
        """Makes one measurement and returns its seconds.

        Raises:
            UserError: the model or the LoRA cannot be used, or the picture cannot be drawn.
        """
        with host.borrow_model() as lease:
            if self.asked.mode == QUICK:
                probe = Probe(lease, self.subject, self._look)
                probe.predict({})
                return probe.seconds
            drawing = Drawing(lease, self.asked.drawing)
            drawing(self.subject.prompt, self.asked.seed)
            return drawing.seconds

    def analyse(
        self, host: Host, stopped: Callable[[], bool] = lambda: False
    ) -> Generator[Progress, None, Findings | None]:
        """Measures everything; the outcome is None where the person stopped it before there was any.

        Raises:
            UserError: the model or the LoRA cannot be used, or a picture cannot be drawn.
        """
        asked = self.asked
        with host.borrow_model() as lease:
            if asked.mode != QUICK:
                return (yield from picture_run.analyse(
                    Drawing(lease, asked.drawing), self.subject, self.groups, asked.settings, asked.seed, asked.keep,
                    self.told, stopped))
            analysis = yield from quick.analyse(
                lease, self.subject, self.groups, asked.keep, self._look, self.told, stopped)
        return None if analysis is None else Findings(analysis)

    @property
    def _look(self) -> Look:
        return Look(seed=self.asked.seed, clip_skip=self.asked.drawing.clip_skip)


def plan(asked: Asked, host: Host) -> Plan:
    """Looks at the LoRA and what is to be examined of it; touches no model.

    Raises:
        UserError: the file, the blocks or the loaded checkpoint cannot be used; Problems: several faults.
    """
    arch = host.checkpoint().family.arch
    about = subject(asked.prompt, asked.lora, asked.file, arch)
    groups, told = parse_groups(asked.blocks, arch, about.present)
    return Plan(asked, about, groups, told)
