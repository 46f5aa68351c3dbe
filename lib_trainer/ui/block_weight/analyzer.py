"""The Effective Block Analyzer in the panel: which blocks of a LoRA matter, and the weights that keep what matters.

The quick way needs no picture, only a few predictions for each block; the other way draws one picture for each. Both
run in turns, so a generation gets in between. On a WebUI the pictures look like the last one of its txt2img tab; our
own page gives its txt2img values.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.compare.analysis import PICTURES, QUICK
from lib_trainer.compare.cost import duration
from lib_trainer.compare.subject import lora_names, with_weights
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.host_model import PreviewRequest
from lib_trainer.lora.finding import find_lora
from lib_trainer.ui.block_weight import analysis_boxes
from lib_trainer.ui.block_weight.analysis_boxes import AnalysisBoxes
from lib_trainer.ui.notes import note, problems, problems_of

if TYPE_CHECKING:
    from gradio.components import Component

    from lib_trainer.compare.asked import Plan
    from lib_trainer.compare.picture_run import Findings

_MODES = {"Quick, without pictures": QUICK, "With pictures": PICTURES}
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_name": False}
_INSTANT: dict[str, Any] = {"queue": False, **_QUIET}
_LOOK = 0.25
"""Seconds between two shows of the progress."""

_INTRO = ('<p class="tl-quiet"><span>Measures how much every block of a LoRA changes the picture, and proposes the '
          "fewest blocks that keep most of it.</span></p>")

Drawn = Callable[[tuple[Any, ...]], PreviewRequest]
"""Makes of the values of a page's controls how pictures are drawn."""


@dataclass(frozen=True)
class _Values:
    """What the controls say."""

    prompt: str
    lora: str | None
    mode: str
    keep: float
    seed: float | None
    boxes: dict[str, Any]
    drawing: PreviewRequest


class AnalyzerPanel:
    """The analyzer's controls.

    Attributes:
        boxes: what is examined and compared; a WebUI's script reads them, too.
        name, weights, save: name of a preset, the proposed weights, and the button that keeps them; whoever lays out
            the presets connects it. kept: says whether they were kept.
    """

    def __init__(self, host: Host, prefix: str) -> None:
        """Starts an empty panel; `prefix` begins all element ids."""
        self._host = host
        self._prefix = f"{prefix}_analyzer"
        self.boxes = AnalysisBoxes(self._prefix)
        self._stop = threading.Event()
        self._each: dict[tuple[str, str], float] = {}
        self._drawn: Drawn = lambda values: PreviewRequest("", like_txt2img=True)

    def lay_out(self) -> None:
        """Makes the controls; `connect` joins them."""
        gr.HTML(_INTRO)
        with gr.Row():
            self._lora = gr.Dropdown(
                [], value=None, label="LoRA", elem_id=self._id("lora"), allow_custom_value=True, interactive=True,
                info="One of the prompt; empty means the first.")
            self._mode = gr.Radio(list(_MODES), value=next(iter(_MODES)), label="Measure", elem_id=self._id("mode"),
                                  info="Pictures take longer and show what changes.")
        with gr.Row():
            self._keep = gr.Slider(10, 100, 90, step=1, label="Keep", elem_id=self._id("keep"),
                                   info="Percent of the effect that the proposal keeps.")
            self._seed = gr.Number(1, precision=0, label="First seed", elem_id=self._id("seed"),
                                   info="Of the noise; the same seed tells the same.")
        self.boxes.lay_out()
        with gr.Row():
            self._estimate = gr.Button("Estimate", elem_id=self._id("estimate"))
            self._analyze = gr.Button("Analyze", variant="primary", elem_id=self._id("analyze"))
            self._end = gr.Button("Stop", elem_id=self._id("stop"))
        self._state = gr.HTML("", elem_id=self._id("state"))
        self._results = gr.HTML("", elem_id=self._id("results"))
        self._sheets = gr.Gallery(label="Sheets", elem_id=self._id("sheets"), visible=False, show_label=False,
                                  columns=2, object_fit="contain")
        self._proposal()
        for control in (self._lora, self._mode, self._keep, self._seed, self.name, self.weights):
            control.do_not_save_to_config = True  # ui-config.json would hold on to old first values

    def _proposal(self) -> None:
        self.weights: Component = gr.Textbox(
            "", label="Proposed weights", elem_id=self._id("weights"), interactive=False, max_lines=2,
            info="The blocks that keep what was asked for.")
        self._use = gr.Button("Write into the prompt", elem_id=self._id("use"))
        with gr.Row(equal_height=True, elem_classes=["tl-with-buttons"]):
            self.name: Component = gr.Textbox("", label="Name", elem_id=self._id("name"), max_lines=1, scale=3,
                                              info="Keeps the proposal as a preset under a name.")
            self.save = gr.Button("Keep as preset", elem_id=self._id("keep_preset"), min_width=120)
        self.kept = gr.HTML("", elem_id=self._id("kept"))

    def _id(self, part: str) -> str:
        return f"{self._prefix}_{part}"

    def connect(self, prompt: Component, controls: Sequence[Component] = (), drawn: Drawn | None = None) -> None:
        """Lets the buttons act.

        Args:
            prompt: the prompt's text box.
            controls: of the page, which say how pictures are drawn. drawn: makes a request of their values; None = as
                the last picture of the host's txt2img tab.
        """
        self._drawn = drawn or self._drawn
        own = [prompt, self._lora, self._mode, self._keep, self._seed, *self.boxes.named.values()]
        inputs = [*own, *controls]
        shown = [self._state, self._results, self._sheets, self.weights]
        self._analyze.click(self.on_analyze, inputs, shown, **_QUIET)
        self._estimate.click(self.on_estimate, inputs, [self._state], **_QUIET)
        self._end.click(self._stop.set, None, None, **_INSTANT)
        self._use.click(self.on_use, [prompt, self._lora, self.weights], [prompt], **_INSTANT)
        prompt.change(self.on_prompt, [prompt, self._lora], [self._lora], **_INSTANT)
        prompt.blur(self.on_prompt, [prompt, self._lora], [self._lora], **_INSTANT)
        for control in (self._lora, self._mode, *self.boxes.named.values()):
            control.change(self.on_cost, inputs, [self._state], **_INSTANT)

    def on_prompt(self, prompt: str, chosen: str | None) -> dict[str, Any]:
        """Offers the LoRAs of the prompt."""
        names = lora_names(prompt or "")
        first = names[0] if names else None
        update: dict[str, Any] = gr.update(choices=names, value=chosen if chosen in names else first)
        return update

    def on_use(self, prompt: str, lora: str | None, weights: str) -> str:
        """Writes the proposed weights into the LoRA's tag."""
        name = self._name(prompt or "", lora)
        return with_weights(prompt, name, weights) if name and weights else prompt

    def on_kept(self, name: str, weights: str) -> str:
        """Says whether the proposal is among the presets now."""
        try:
            arch = self._host.checkpoint().family.arch
            preset = self._host.presets().get((name or "").strip(), arch)
        except UserError as error:
            return problems_of(error)
        if preset is not None and ",".join(preset.items) == weights:
            return note("Kept among the presets.")
        return problems(["It was not kept; the list of presets says why."])

    def on_cost(self, *values: Any) -> str:
        """Says what an analysis would take, as far as it is known."""
        try:
            found = self._plan(values)
        except UserError as error:
            return problems_of(error) if lora_names(str(values[0] or "")) else ""
        return self._cost(found)

    def on_estimate(self, *values: Any) -> str:
        """Measures one prediction or picture and says what all of them would take."""
        try:
            found = self._plan(values)
            self._each[self._key(found)] = found.measure_one(self._host)
        except UserError as error:
            return problems_of(error)
        return self._cost(found)

    def on_analyze(self, *values: Any) -> Iterator[list[Any]]:
        """Analyses; yields what the page shows: state, results, sheets, proposed weights."""
        from lib_trainer.ui.block_weight import analysis_view

        same = gr.update()
        self._stop.clear()
        try:
            found = self._plan(values)
            yield [self._cost(found), same, same, same]
            findings = yield from self._followed(found)
            if findings is None:
                yield [note("Stopped."), same, same, same]
                return
            yield [self._kept(findings), analysis_view.results(findings), self._gallery(findings),
                   findings.analysis.proposal.weights if findings.analysis.proposal else ""]
        except UserError as error:
            yield [problems_of(error), same, same, same]

    def _followed(self, found: Plan) -> Generator[list[Any], None, Findings | None]:
        """Yields the progress, not too often; returns the findings."""
        from lib_trainer.ui.block_weight import analysis_view

        steps, shown, begun = found.analyse(self._host, self._stop.is_set), 0.0, time.monotonic()
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                findings: Findings | None = end.value
                return findings
            now = time.monotonic()
            self._each[self._key(found)] = (now - begun) / step.done
            if now - shown >= _LOOK:
                shown = now
                yield [analysis_view.progress(step), gr.update(), gr.update(), gr.update()]

    def _kept(self, findings: Findings) -> str:
        """Keeps sheets as files and says where; the quick way leaves none."""
        if not findings.sheets:
            return ""
        from lib_trainer.compare import saving

        folder = saving.free_folder(self._host.paths.outputs, findings.analysis.subject.name)
        saving.save(findings, folder)
        return f'<p class="tl-quiet"><span>Kept in</span> <code>{folder}</code></p>'

    @staticmethod
    def _gallery(findings: Findings) -> dict[str, Any]:
        update: dict[str, Any] = gr.update(
            value=[sheet.image for sheet in findings.sheets], visible=bool(findings.sheets))
        return update

    def _cost(self, found: Plan) -> str:
        cost = found.cost(self._each.get(self._key(found), 0.0))
        kind = "pictures" if found.asked.mode == PICTURES else "predictions"
        known = f"{cost.count} x {cost.each:.2g} s = {duration(cost.seconds)}" if cost.each else f"{cost.count}"
        return f'<p class="tl-quiet"><b>{known}</b> <span>{kind}</span></p>'

    def _key(self, found: Plan) -> tuple[str, str]:
        return self._host.checkpoint().name, found.asked.mode

    def _plan(self, values: Sequence[Any]) -> Plan:
        """Returns what the controls ask for.

        Raises:
            UserError: what is wrong with them.
        """
        from lib_trainer.compare.asked import Asked, plan

        said = self._read(values)
        name = self._name(said.prompt, said.lora)
        if not name:
            raise UserError("The prompt has no LoRA to analyse: write its tag, <lora:name:1>.")
        file = find_lora(name, self._host)
        if file is None:
            raise UserError(f"There is no LoRA '{name}' in '{self._host.paths.loras}': check the name in the tag.")
        if said.seed is None:
            raise UserError("The first seed is empty: write a number.")
        return plan(Asked(name, file, said.prompt, _MODES.get(said.mode, QUICK), said.keep / 100,
                          str(said.boxes["blocks"] or ""), int(said.seed), analysis_boxes.settings(said.boxes),
                          said.drawing), self._host)

    def _read(self, values: Sequence[Any]) -> _Values:
        names = list(self.boxes.named)
        prompt, lora, mode, keep, seed = values[:5]
        boxes = dict(zip(names, values[5:], strict=False))
        return _Values(prompt or "", lora, mode, keep, seed, boxes, self._drawn(tuple(values[5 + len(names):])))

    @staticmethod
    def _name(prompt: str, chosen: str | None) -> str:
        """Returns the LoRA that is meant: the chosen one while the prompt has it, else the prompt's first."""
        names = lora_names(prompt)
        return chosen if chosen in names and chosen else names[0] if names else ""
