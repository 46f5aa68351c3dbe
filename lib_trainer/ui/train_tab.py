"""The Train LoRA tab: five controls and a Start button, everything else folded, and the run view beside them.

The same Blocks are built on the embedded page (gradio 4.40) and inside the WebUIs (3.41.2 and 4.40). gradio carries
the form and every press of a button, behind whatever login the page has. The run view is drawn by
`javascript/train_lora_run.js` from the numbered events of `lib_trainer.api`, so that a long training does not sit in
gradio's queue and a reload loses nothing.
"""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from lib_trainer.errors import UserError
from lib_trainer.training import config_reading
from lib_trainer.training.config import TrainConfig
from lib_trainer.training.goals import GOALS
from lib_trainer.training.settings.declare import GROUPS
from lib_trainer.ui import goal_choice, notes, resume_part, webui_settings
from lib_trainer.ui.app import App
from lib_trainer.ui.cache_row import CacheRow
from lib_trainer.ui.form import Form, Value, fold_id
from lib_trainer.ui.inner_blocks import InnerBlocks
from lib_trainer.ui.material_part import MaterialPart
from lib_trainer.ui.method_part import seen
from lib_trainer.ui.queue_part import QueuePart
from lib_trainer.ui.resume_part import ResumePart
from lib_trainer.ui.run_buttons import HIDDEN, RunButtons
from lib_trainer.ui.saved_settings import LAST, Draft, SavedSettings
from lib_trainer.ui.settings_fold import SettingsFold

ELEM_ID = "train_lora_tab"
TITLE = "Train LoRA"
NO_GOAL = "As set below"

_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}
"""For events that nobody waits for: no spinner over the form, no place in the queue."""

_FROM_TXT2IMG = """
<button id="train_lora_from_txt2img" type="button" class="tl-button">Add what txt2img is set to now</button>
<p class="tl-quiet">Prompt, negative prompt, size, CFG, steps, sampler and seed, as a line of the preview prompts.</p>
"""


class TrainTab:
    """The tab's controls and what happens when they are used; made once per page by `build`."""

    def __init__(self, app: App, samplers: Sequence[str], first: Draft) -> None:
        from lib_trainer.training.learning.optimizers import OPTIMIZERS
        from lib_trainer.training.learning.schedules import SCHEDULES

        self._app = app
        self._saved = SavedSettings(app.host.paths.settings / "train")
        self._first = first
        self._labels = {NO_GOAL: ""} | {goal.label: key for key, goal in GOALS.items()}
        choices: dict[str, Sequence[str]] = {
            "optimizer": list(OPTIMIZERS), "scheduler": list(SCHEDULES),
            # States are looked for when a page is opened: a start does not wait for folders.
            "base_model": self._bases(), "resume": resume_part.ALWAYS}
        if samplers:
            choices["preview_sampler"] = ["", *samplers]
        self.form = Form(choices)
        self._buttons = RunButtons(app.jobs)
        self.material = MaterialPart(app.host, self.form, self._buttons.pressed)
        self.files = SettingsFold(app.host, self.form, self._saved, self._labels, self._take)
        self._queue = QueuePart(app.jobs, self._buttons.pressed)
        self._resume = ResumePart(app.jobs, app.host.paths, self.form, self._buttons.pressed)
        self._caches = CacheRow(app)

    def lay_out(self) -> None:
        """Makes all controls and connects them."""
        with gr.Row(elem_id=ELEM_ID, elem_classes=["tl"]):
            with gr.Column(scale=6, min_width=420):
                self._first_screen()
                self._folds()
                self._hidden_buttons()
            with gr.Column(scale=5, min_width=420, elem_id="train_lora_side"):
                gr.HTML('<div id="train_lora_run" class="tl-run"></div>')
        self._connect()

    def _first_screen(self) -> None:
        """What decides about all else comes first; Start and what it says stay in sight while the form is scrolled."""
        self._resume.lay_out()
        with gr.Row():
            self.form.add("name", placeholder="zunko")
            self.goal = gr.Dropdown(
                list(self._labels), value=NO_GOAL, label="Goal", elem_id="train_lora_goal", interactive=True,
                info="Fills in what people who train such LoRAs arrived at; everything can be changed below.",
            )
        self.reason = gr.HTML("", elem_id="train_lora_reason")
        self.material.lay_out(self._first.values.get("method", TrainConfig().method))
        with gr.Column(elem_id="train_lora_start_part"):
            self.problems = gr.HTML("", elem_id="train_lora_problems")
            gr.HTML('<div id="train_lora_messages"></div>')
            with gr.Row():
                self.start = gr.Button("Start", variant="primary", elem_id="train_lora_generate", scale=3)
                self.enqueue = gr.Button("Add to queue", elem_id="train_lora_enqueue", scale=1, min_width=120)
        self._queue.lay_out()

    def _folds(self) -> None:
        for group in GROUPS[1:]:
            with gr.Accordion(group, open=False, elem_id=fold_id(group)):
                self.form.add_group(group)
                if group == "Previews":
                    gr.HTML(_FROM_TXT2IMG)
                if group == "Memory":
                    self._caches.lay_out()
        with gr.Accordion("Settings files", open=False, elem_id="train_lora_group_settings"):
            self.files.lay_out()

    def _hidden_buttons(self) -> None:
        """Pressed by JavaScript: `load` events of Blocks inside Blocks differ between the WebUIs."""
        self.restore = gr.Button("restore", elem_id="train_lora_restore", elem_classes=HIDDEN)
        self.touch = gr.Button("touch", elem_id="train_lora_touch", elem_classes=HIDDEN)
        self.restored = gr.HTML("", elem_id="train_lora_restored", elem_classes=HIDDEN)
        self._buttons.lay_out()
        self._queue.lay_out_hidden()

    def _connect(self) -> None:
        fields, draft = self.form.inputs, [self.goal, *self.form.inputs]
        looked, shown = self.material.looked, self.material.shown
        everything = [self.goal, self.reason, *self.files.lists, *shown, *fields]
        self.start.click(self.on_start, draft, [self.problems, self._buttons.mark], **_QUIET)
        self.enqueue.click(self.on_enqueue, draft, [self.problems, self._buttons.mark], **_QUIET)
        self._buttons.connect(self.problems, **_QUIET)
        self._queue.connect(self.problems, self._buttons.mark, **_QUIET)
        self._resume.connect(self.problems, self._buttons.mark, self.restore, **_QUIET)
        self.material.connect(**_QUIET)
        self._caches.connect(**_QUIET)
        self.touch.click(self.on_touch, [looked, *draft], shown, **_QUIET)
        self.restore.click(self.on_restore, None, [self.restored, *everything], **_QUIET)
        chosen = self.goal.input(self.on_goal, draft, [self.reason, *shown, *fields], **_QUIET)
        chosen.then(self.on_touch, [looked, *draft], shown, **_QUIET)
        self.files.connect(self.goal, self.problems, everything)

    def on_start(self, goal: str, *values: Value) -> list[str]:
        """Starts a training; returns what is to be mended, or that it began, and the mark of the press."""
        return [self._start(goal, values), self._buttons.pressed()]

    def _start(self, goal: str, values: Sequence[Value]) -> str:
        settings = self.form.read(values)
        try:
            self._saved.save(LAST, Draft(self._labels[goal], settings))
            wanted = seen(settings)
            config, faults = config_reading.read(wanted)
            if faults:
                from lib_trainer.training import check

                check.read(wanted, self._app.host)
            self._app.jobs.start(config)
        except UserError as error:
            return notes.problems_of(error)
        return notes.note("Training has begun; you may draw with txt2img meanwhile.", until_the_end=True)

    def on_enqueue(self, goal: str, *values: Value) -> list[str]:
        """Puts a training at the end of the queue; returns what is to be mended, or that it waits, and the mark."""
        settings = self.form.read(values)
        try:
            self._saved.save(LAST, Draft(self._labels[goal], settings))
            self._app.jobs.enqueue(seen(settings))
        except UserError as error:
            return [notes.problems_of(error), self._buttons.pressed()]
        return [notes.note("It waits in the queue."), self._buttons.pressed()]

    def on_touch(self, looked: dict[str, Any] | None, goal: str, *values: Value) -> list[Any]:
        """Remembers the form as it is and reads the picture folder again where its settings changed."""
        settings = self.form.read(values)
        fault = self._keep(Draft(self._labels[goal], settings))
        if looked == settings and not fault:
            return self.material.as_before(settings)
        line, card, looked = self.material.look(settings)
        return [line, card + fault, looked]

    def on_restore(self) -> list[Any]:
        """Fills the form of a fresh page with the last settings; the mark tells JavaScript that it may be used."""
        names = escape(",".join(webui_settings.preset_names(self._app.host.paths.settings)))
        mark = f'<b data-presets="{names}">{self._buttons.pressed()}</b>'
        return [mark, *self._fill(self._saved.last() or self._first)]

    def on_goal(self, goal: str, *values: Value) -> list[Any]:
        """Applies a goal's changes to the form, whatever else is filled in."""
        key, settings = self._labels[goal], self.form.read(values)
        changes = goal_choice.changes(key, (self._saved.last() or self._first).goal, settings)
        return [self._reason(key), *self.material.look({**settings, **changes}), *self.form.updates(changes)]

    def _keep(self, draft: Draft) -> str:
        """Remembers what the form holds; returns why it cannot be remembered, as HTML."""
        try:
            if self._saved.last() != draft:
                self._saved.save(LAST, draft)
        except UserError as error:
            return notes.problems_of(error)
        return ""

    def _take(self, draft: Draft) -> list[Any]:
        """Fills the form with what was loaded or imported, and remembers it: a reload right after it brings it back."""
        whole = Draft(draft.goal, {**self.form.defaults(), **draft.values})
        return self._fill(whole, self._keep(whole))

    def _fill(self, draft: Draft, fault: str = "") -> list[Any]:
        label = next((label for label, key in self._labels.items() if key == draft.goal), NO_GOAL)
        settings = {**self.form.defaults(), **draft.values}
        line, card, looked = self.material.look(settings)
        return [
            gr.update(value=label), self._reason(self._labels[label]), *self.files.choices(),
            line, card + fault, looked, *self.form.updates(settings, self._lists()),
        ]

    def _lists(self) -> dict[str, Sequence[str]]:
        """The words to choose from that lie on the disk, as they are now."""
        return {"base_model": self._bases(), "resume": resume_part.choices(self._app.host.paths)}

    def _bases(self) -> list[str]:
        """The checkpoints to choose from: by name, by path where two have the same; "" = the loaded one."""
        files = self._app.host.checkpoints()
        names = [path.name for path in files]
        return ["", *(path.name if names.count(path.name) == 1 else str(path) for path in files)]

    @staticmethod
    def _reason(goal: str) -> str:
        return f'<p class="tl-quiet tl-reason">{escape(GOALS[goal].reason)}</p>' if goal else ""


def build(app: App, samplers: Sequence[str] = (), first: Draft | None = None) -> gr.Blocks:
    """Returns the tab.

    Args:
        app: host and jobs.
        samplers: names for the previews' sampler, where the host can tell them; none = a text box.
        first: the form of a person who has not trained before.
    """
    with InnerBlocks(analytics_enabled=False) as blocks:
        TrainTab(app, samplers, first or Draft()).lay_out()
    for component in blocks.blocks.values():
        # The form comes back from our own files; ui-config.json of the WebUIs would only hold on to old defaults.
        component.do_not_save_to_config = True
    return blocks
