"""The txt2img tab of the embedded page: prompt to picture with the controls and element ids that WebUI users know.

A generation runs in its own thread and reports its steps through a queue, so that progress is shown live and Interrupt,
which is an event of its own, gets through. While a training runs, the host's lock lets a generation in between steps.
"""
from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.compare import drawing
from lib_trainer.errors import Problems, UserError
from lib_trainer.host_model import Picture
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest, Txt2ImgHost
from lib_trainer.ui.block_weight.panel import BlockWeightPanel
from lib_trainer.ui.form import Value
from lib_trainer.ui.notes import note, problems_of, warnings

if TYPE_CHECKING:
    from gradio.components import Component

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_name": False}
_LOOK = 0.25
"""Seconds between two looks at a generation: often enough to look alive, seldom enough to cost nothing."""
_SEED = re.compile(r"\bSeed: (\d+)")
_WHOLE = ("steps", "width", "height", "seed", "batch_size", "batch_count", "clip_skip")


class Txt2Img:
    """The tab's controls.

    Attributes:
        controls: the components whose values make a request, by field name of `GenerateRequest`.
    """

    def __init__(self, host: Txt2ImgHost, first: GenerateRequest) -> None:
        """Starts an empty tab; `first` holds the values that the controls begin with."""
        self._host = host
        self._first = first
        self._interrupt = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="txt2img")
        self._block_weights = BlockWeightPanel(host)
        self.controls: dict[str, Component] = {}

    def lay_out(self) -> None:
        """Makes all controls and connects them."""
        with gr.Column(elem_classes=["tl"]):
            self._top()
            self._bottom()
        self._connect()

    def _top(self) -> None:
        with gr.Row():
            with gr.Column(scale=6):
                self._prompts()
            with gr.Column(scale=1, min_width=180):
                self.generate = gr.Button("Generate", variant="primary", elem_id="txt2img_generate")
                self.interrupt = gr.Button("Interrupt", elem_id="txt2img_interrupt")

    def _bottom(self) -> None:
        with gr.Row():
            with gr.Column(scale=5, min_width=420):
                self._settings()
                self._picker()
                self._block_weights.lay_out(self.controls["prompt"])
            with gr.Column(scale=5, min_width=420):
                self._results()

    def _prompts(self) -> None:
        self.controls["prompt"] = gr.Textbox(
            self._first.prompt, label="Prompt", lines=3, elem_id="txt2img_prompt",
            placeholder="1girl, <lora:name:0.8:NCNF>",
            info="Emphasis (word:1.2), LoRA <lora:name:1>, block weights <lora:name:0.8:NCNF>. Ctrl+Enter generates.",
        )
        self.controls["negative"] = gr.Textbox(
            self._first.negative, label="Negative prompt", lines=2, elem_id="txt2img_neg_prompt",
            info="What must not be seen.")

    def _settings(self) -> None:
        side = self._host.checkpoint().resolution
        names = self._host.samplers()
        with gr.Row():
            self.controls["sampler"] = gr.Dropdown(
                names, value=self._first.sampler or names[0], label="Sampler", elem_id="txt2img_sampling",
                info="The way from noise to picture.")
            self._slider("steps", 1, 150, self._first.steps, "Steps", "20-30 are usual.")
        with gr.Row():
            self._slider("width", 64, 2048, side, "Width", "Pixels; best near the checkpoint's own size.", 8)
            self._slider("height", 64, 2048, side, "Height", "Pixels.", 8)
        with gr.Row():
            self._slider("cfg", 1, 30, self._first.cfg, "CFG scale", "How strictly the prompt is followed.", 0.5)
            self._slider("clip_skip", 1, 12, 1, "Clip skip", "2 for anime models.")
        with gr.Row():
            self._slider("batch_count", 1, 100, 1, "Batch count", "Batches one after the other.")
            self._slider("batch_size", 1, 16, 1, "Batch size", "Pictures at once.")
        with gr.Row(equal_height=True, elem_classes=["tl-with-buttons"]):
            self.controls["seed"] = gr.Number(
                -1, precision=0, label="Seed", elem_id="txt2img_seed", info="-1 = a random one.", scale=3)
            self.random = gr.Button("Random", elem_id="txt2img_random_seed", min_width=80)
            self.reuse = gr.Button("Reuse", elem_id="txt2img_reuse_seed", min_width=80)

    def _slider(
        self, name: str, least: float, most: float, value: float, label: str, info: str, step: float = 1
    ) -> None:
        self.controls[name] = gr.Slider(
            least, most, value, step=step, label=label, info=info, elem_id=f"txt2img_{name}")

    def _picker(self) -> None:
        names = self._host.loras()
        with gr.Row(equal_height=True, elem_id="txt2img_loras", elem_classes=["tl-with-buttons"]):
            self.lora = gr.Dropdown(names, value=names[0] if names else None, label="LoRA", elem_id="txt2img_lora",
                                    info="Files of the LoRA folder.", scale=3)
            self.insert = gr.Button("Insert", elem_id="txt2img_lora_insert", min_width=80)
            self.refresh = gr.Button("Refresh", elem_id="txt2img_lora_refresh", min_width=80)

    def _results(self) -> None:
        self.progress = gr.HTML("", elem_id="txt2img_progress")
        self.gallery = gr.Gallery(
            label="Pictures", elem_id="txt2img_gallery", columns=2, height=520, object_fit="contain", format="png",
            show_share_button=False, interactive=False, preview=True,
        )
        self.comments = gr.HTML("", elem_id="txt2img_comments")
        self.infotext = gr.Textbox(label="Parameters", lines=3, elem_id="txt2img_infotext", show_copy_button=True,
                                   info="Also kept in the PNG file.", interactive=False)

    def _connect(self) -> None:
        instant = {"queue": False, **_QUIET}
        outputs = [self.progress, self.gallery, self.comments, self.infotext, self.lora]
        self.generate.click(self.on_generate, list(self.controls.values()), outputs, concurrency_limit=1, **_QUIET)
        plot = self._block_weights.plot
        plot.draw.click(self.on_plot, [*plot.axes, *self.controls.values()], [plot.progress, plot.gallery, plot.told],
                        concurrency_limit=1, **_QUIET)
        self._block_weights.analyzer.connect(self.controls["prompt"], list(self.controls.values()), self.request)
        self.interrupt.click(self._interrupt.set, None, None, **instant)
        self.random.click(lambda: -1, None, [self.controls["seed"]], **instant)
        self.reuse.click(self.on_reuse, [self.infotext], [self.controls["seed"]], **instant)
        self.refresh.click(self.on_refresh, [self.lora], [self.lora], **instant)
        self.lora.focus(self.on_refresh, [self.lora], [self.lora], **instant)
        self.insert.click(self.on_insert, [self.controls["prompt"], self.lora], [self.controls["prompt"]], **instant)

    def on_generate(self, *values: Value) -> Iterator[list[Any]]:
        """Draws; yields what the page shows: progress, pictures, comments, infotext, LoRA names."""
        same = gr.update()
        self._interrupt.clear()
        try:
            request = self.request(values)
            steps: queue.SimpleQueue[DrawProgress] = queue.SimpleQueue()
            running = self._pool.submit(self._host.generate, request, steps.put, self._interrupt.is_set)
            for bar in follow(running, steps):
                yield [bar, same, "", same, same]
            pictures = running.result()
        except UserError as error:
            yield ["", same, problems_of(error), same, same]
            return
        images = [str(picture.file) if picture.file else picture.image for picture in pictures]
        yield ["", images, self._comments(pictures), pictures[0].infotext if pictures else "", self.on_refresh(None)]

    def on_plot(self, *values: Value) -> Iterator[list[Any]]:
        """Draws the plot with the tab's settings; yields what it shows: progress, grids and pictures, comments."""
        self._interrupt.clear()
        plots, same = self._block_weights.plot, gr.update()
        axes, tab = values[:len(plots.axes)], values[len(plots.axes):]
        try:
            request = self.request(tab)
            steps: queue.SimpleQueue[DrawProgress] = queue.SimpleQueue()
            plot = plots.plot(request.prompt, *axes)
            running = self._pool.submit(drawing.draw, self._host, request, plot, steps.put, self._interrupt.is_set)
            for bar in follow(running, steps):
                yield [bar, same, ""]
            drawn = running.result()
        except UserError as error:
            yield ["", same, problems_of(error)]
            return
        stopped = note("Interrupted.") if self._interrupt.is_set() else ""
        yield ["", [str(one.file) for one in (*drawn.sheets, *drawn.cells)], stopped + warnings(drawn.told)]

    def request(self, values: tuple[Value, ...]) -> GenerateRequest:
        """Returns the request of the controls' values.

        Raises:
            Problems: a number box is empty.
        """
        named = dict(zip(self.controls, values, strict=True))
        empty = [self.controls[name].label for name, value in named.items() if value is None]
        if empty:
            raise Problems(f"{label} is empty: write a number." for label in empty)
        return GenerateRequest(**{name: int(value) if name in _WHOLE else value  # type: ignore[arg-type]
                                  for name, value in named.items()})

    def on_reuse(self, infotext: str) -> int:
        """Returns the seed of the picture shown, -1 when there is none."""
        found = _SEED.search(infotext or "")
        return int(found[1]) if found else -1

    def on_refresh(self, chosen: str | None) -> dict[str, Any]:
        """Returns the LoRA folder's names as they are now."""
        names = self._host.loras()
        return gr.update(choices=names, value=chosen) if chosen in names else gr.update(choices=names)

    def on_insert(self, prompt: str, name: str | None) -> str:
        """Returns the prompt with the chosen LoRA's tag at its end."""
        return ", ".join(part for part in (prompt.strip().rstrip(","), f"<lora:{name}:1>") if part) if name else prompt

    def _comments(self, pictures: list[Picture]) -> str:
        told = warnings(list(dict.fromkeys(comment for picture in pictures for comment in picture.comments)))
        return (note("Interrupted.") if self._interrupt.is_set() else "") + told


def follow(running: Future[Any], steps: queue.SimpleQueue[DrawProgress]) -> Iterator[str]:
    """Yields the progress bar of a generation whenever it moved, until the generation ends."""
    yield _bar("Waiting for its turn", 0.0)
    done = False
    while not done:
        done = bool(wait([running], _LOOK).done)
        latest = None
        while not steps.empty():
            latest = steps.get()
        if latest is not None:
            yield _bar(f"{latest.step} / {latest.steps}", latest.step / max(1, latest.steps))


def _bar(text: str, part: float) -> str:
    return (f'<div class="tl-track"><div class="tl-fill" style="width:{part:.0%}"></div></div>'
            f'<div class="tl-line">{escape(text)}</div>')
