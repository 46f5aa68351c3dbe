"""The analysis by pictures from start to end, one turn for each picture: drawn, compared, ranked, proposed, verified.

After the pictures of the groups come two more: one without the LoRA's blocks, which tells the whole effect, and one
with the proposal, which tells how much of it the proposal really keeps.
"""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lib_trainer.compare import differences, ranking
from lib_trainer.compare.analysis import PICTURES, Analysis, remarks
from lib_trainer.compare.block_groups import Group, weights
from lib_trainer.compare.cells import Change, Sheet
from lib_trainer.compare.cost import Cost, Progress
from lib_trainer.compare.grids import default_font
from lib_trainer.compare.pictures import BlockPictures, Pair, Settings
from lib_trainer.compare.ranking import Effect, Proposal
from lib_trainer.compare.subject import Subject
from lib_trainer.host import Lease
from lib_trainer.host_model import Picture, PreviewRequest

if TYPE_CHECKING:
    from PIL.Image import Image

_VERIFYING = 2
"""Pictures beside those of the groups: without the LoRA's blocks, and with the proposal."""


class Drawing:
    """Draws pictures that differ in prompt and seed, a turn for each; remembers the last one it was asked for.

    Attributes:
        count: pictures drawn. seconds: what the last one took, the waiting for its turn not counted.
        checkpoint: name of the one it draws with; "" before the first.
    """

    def __init__(self, lease: Lease, request: PreviewRequest) -> None:
        """Draws as `request` says, but for prompt and seed."""
        self.count, self.seconds, self.checkpoint = 0, 0.0, ""
        self._lease, self._request = lease, request
        self._last: tuple[tuple[str, int], Picture] | None = None

    def __call__(self, prompt: str, seed: int) -> Picture:
        """Returns a picture.

        Raises:
            UserError: the host cannot draw it. ModelChanged: the host's model is another one now.
        """
        if self._last is not None and self._last[0] == (prompt, seed):
            return self._last[1]
        with self._lease.turn() as model:
            begun = time.perf_counter()
            drawn = model.preview(replace(self._request, prompt=prompt, seed=seed))
            self.seconds = time.perf_counter() - begun
            self.checkpoint = model.checkpoint.name
        self.count += 1
        self._last = (prompt, seed), drawn
        return drawn


@dataclass(frozen=True)
class Findings:
    """The outcome with its pictures, where there are some.

    Attributes:
        analysis: the numbers. sheets: one for each seed. pairs: those of the first seed.
        infotext: of the first picture, the one with all blocks.
    """

    analysis: Analysis
    sheets: list[Sheet] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    infotext: str = ""


def cost(groups: Sequence[Group], settings: Settings, each: float = 0.0) -> Cost:
    """Returns what an analysis takes.

    Args:
        each: seconds of one picture, as measured; 0 = not known.
    """
    return Cost(settings.seeds * (1 + len(groups)) + _VERIFYING, each)


def analyse(
    drawing: Drawing, subject: Subject, groups: Sequence[Group], settings: Settings, seed: int, keep: float,
    told: Sequence[str] = (), stopped: Callable[[], bool] = lambda: False,
) -> Generator[Progress, None, Findings]:
    """Draws and compares.

    Args:
        groups: what is examined.
        seed: of the first pictures, >= 0.
        keep: the part of the effect that the proposal keeps, above 0 and at most 1.
        told: sentences to pass on.
        stopped: asked before every picture; once it says True, what was drawn so far is compared.

    Yields:
        How far it is, after every picture.

    Raises:
        UserError: a picture cannot be drawn. ModelChanged: the host's model is another one now.
    """
    ranking.require_part(keep)
    begun = time.perf_counter()
    run = _Run(drawing, subject, seed, cost(groups, settings).count)
    yield from run.compare(groups, settings, stopped)
    effects = ranking.ranked(run.shown.effects())
    proposal = None if stopped() else (yield from run.propose(effects, settings, keep))
    notes = ["It was stopped: the pictures drawn until then were compared."] if stopped() else []
    analysis = Analysis(
        PICTURES, subject, drawing.checkpoint, effects, keep, proposal, run.done, time.perf_counter() - begun,
        (*told, *remarks(subject, PICTURES, effects), *run.comments, *notes))
    return Findings(analysis, run.sheets, run.pairs, run.infotext)


class _Run:
    """One analysis.

    Attributes:
        sheets, pairs, infotext: as in `Findings`. comments: those of all pictures.
        done: pictures drawn or remembered.
    """

    shown: BlockPictures

    def __init__(self, drawing: Drawing, subject: Subject, seed: int, total: int) -> None:
        self.sheets: list[Sheet] = []
        self.pairs: list[Pair] = []
        self.comments: dict[str, None] = {}
        self.infotext, self.done = "", 0
        self._drawing, self._subject, self._seed, self._total = drawing, subject, seed, total
        self._source: Image | None = None

    def compare(
        self, groups: Sequence[Group], settings: Settings, stopped: Callable[[], bool]
    ) -> Iterator[Progress]:
        """Draws the pictures of all seeds; a seed's pictures are let go as soon as its sheet is made."""
        self.shown = BlockPictures(groups, settings, self._seed, self._subject.arch, self._subject.change,
                                   self._subject.name, seen=self._look)
        drawn: dict[int, Image] = {}
        making = self.shown.sheets(drawn.get, default_font)
        for number, cell in enumerate(self.shown.cells):
            if stopped():
                break
            drawn[number] = self._draw(cell.change, self._seed if cell.seed is None else cell.seed)
            self._source = self._source or drawn[number]
            place = number % (1 + len(groups))
            yield self._progress(groups[place - 1].label if place else "source")
            if place == len(groups):
                self.sheets += itertools.islice(making, 1)
                drawn.clear()
        self.sheets += making

    def propose(
        self, effects: Sequence[Effect], settings: Settings, keep: float
    ) -> Generator[Progress, None, Proposal | None]:
        """Draws without the LoRA's blocks and with the proposal, and tells what that keeps."""
        count, subject = ranking.count_for(effects, keep), self._subject
        if not count or self._source is None:
            return None
        none = self._draw(subject.change(weights(subject.arch, (), 0.0, 0.0)), self._seed)
        yield self._progress("without the LoRA")
        ratios = ranking.ratios(effects, count, subject.arch, settings.high)
        kept = self._draw(subject.change(ratios), self._seed)
        yield self._progress("proposal")
        whole = differences.mean(none, self._source)
        part = 1.0 - differences.mean(kept, self._source) / whole if whole else None
        return ranking.proposal(effects, count, subject.arch, subject.present, settings.high, part)

    def _look(self, pair: Pair) -> None:
        if pair.seed == self._seed:
            self.pairs.append(pair)

    def _draw(self, change: Change, seed: int) -> Image:
        picture = self._drawing(change(self._subject.prompt), seed)
        self.comments.update(dict.fromkeys(picture.comments))
        self.infotext = self.infotext or picture.infotext
        self.done += 1
        return picture.image

    def _progress(self, what: str) -> Progress:
        return Progress(self.done, self._total, what, (self._total - self.done) * self._drawing.seconds)
