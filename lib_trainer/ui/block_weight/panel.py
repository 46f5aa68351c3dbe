"""The Block Weight panel under txt2img and img2img: what the prompt does to the blocks, and all that helps with it.

Nothing has to be switched on here: a tag such as `<lora:name:0.8:NCNF>` in the prompt is all it takes. Every part is a
class of its own module; this one puts them in their order and tells them of each other.
"""
from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.context import Context

from lib_trainer.host import Host
from lib_trainer.ui.block_weight import explained
from lib_trainer.ui.block_weight.analyzer import AnalyzerPanel
from lib_trainer.ui.block_weight.bake import BakePanel
from lib_trainer.ui.block_weight.editor import BlockEditor
from lib_trainer.ui.block_weight.elements import ElementManager
from lib_trainer.ui.block_weight.entry_list import QUIET
from lib_trainer.ui.block_weight.presets import PresetManager
from lib_trainer.ui.block_weight.script_controls import ScriptControls

if TYPE_CHECKING:
    from gradio.components import Component

_INTRO = """<p class="tl-quiet">
<span>Write a preset's name or a list of 12, 17, 20 or 26 numbers behind the strength:</span>
<code>&lt;lora:name:0.8:NCNF&gt;</code></p>"""


class BlockWeightPanel:
    """The panel's parts.

    Attributes:
        explained: what the prompt does.
        editor, presets, elements, script, plot, analyzer, bake: the parts, in their order.
    """

    def __init__(self, host: Host, tab: str = "", peer: Sequence[Path] = ()) -> None:
        """Starts an empty panel.

        Args:
            host: whose presets and LoRAs are shown.
            tab: name of the page's tab where there is a panel under several; part of all element ids.
            peer: folders in which the LoRA Block Weight extension may keep its files.
        """
        self._host = host
        self._tab = tab
        self._prefix = f"{tab}_block_weight" if tab else "block_weight"
        self.editor = BlockEditor(self._prefix, tab)
        self.presets = PresetManager(host.paths.settings, self._prefix, peer)
        self.elements = ElementManager(host.paths.settings, self._prefix, peer)
        self.analyzer = AnalyzerPanel(host, self._prefix)
        self.script = ScriptControls(host, self._prefix, self.analyzer.boxes)
        self.plot = self.script.plot
        self.bake = BakePanel(host, self._prefix)

    def lay_out(self, prompt: Component | None) -> None:
        """Makes the controls; `prompt` is the prompt's text box, explained as it is typed, if it is on this page."""
        with gr.Accordion("Block weights", open=False, elem_id=f"{self._prefix}_panel", elem_classes=["tl"]):
            gr.HTML(_INTRO)
            self.explained = gr.HTML(self.on_explain(""), elem_id=f"{self._prefix}_explained")
            self.editor.lay_out()
            self.presets.lay_out()
            self.elements.lay_out()
            self._lay_out_plot(prompt)
            self._lay_out_analyzer(prompt)
            self.bake.lay_out(prompt)
        self._keep_presets()
        self.presets.text.follow()
        self.elements.text.follow()
        if prompt is not None:
            self._explain(prompt)

    def lay_out_values(self) -> None:
        """Makes the script's values alone, for a page that nobody sees."""
        self.script.lay_out(None)
        self.analyzer.boxes.lay_out()

    def _lay_out_plot(self, prompt: Component | None) -> None:
        """Makes the plot: the script's values under a WebUI's tab, a plot that draws by itself on our own page."""
        if self._tab:
            self.script.lay_out(prompt)
            return
        with gr.Accordion("Plot", open=False, elem_id=f"{self._prefix}_plot"):
            self.plot.lay_out(prompt, draws=True)

    def _lay_out_analyzer(self, prompt: Component | None) -> None:
        """Makes the analyzer; our own page joins it to its controls itself."""
        with gr.Accordion("Which blocks matter", open=False, elem_id=f"{self._prefix}_analysis"):
            self.analyzer.lay_out()
        if self._tab and prompt is not None:
            self.analyzer.connect(prompt)

    def _keep_presets(self) -> None:
        """Lets the other parts keep lists of theirs as presets."""
        entries, proposed = self.presets.entries, [self.analyzer.name, self.analyzer.weights]
        entries.on(self.analyzer.save, self.presets.on_put, proposed)
        entries.changes[-1].then(self.analyzer.on_kept, proposed, [self.analyzer.kept], **QUIET)
        entries.on(self.editor.save, self.presets.on_put, [self.editor.name, self.editor.numbers, self.editor.hint])

    def _explain(self, prompt: Component) -> None:
        """Explains the prompt whenever it, a preset or a rule changes."""
        asked: dict[str, Any] = {"fn": self.on_explain, "inputs": [prompt], "outputs": [self.explained], **QUIET}
        prompt.change(**asked, **_of_this_gradio(prompt))
        # gradio 3 drops what is typed while an answer is under way, the last letters too.
        prompt.blur(**asked)
        for event in (*self.presets.entries.changes, *self.elements.entries.changes):
            event.then(**asked)

    def on_explain(self, prompt: str) -> str:
        """Returns what the prompt's tags do, block by block."""
        return explained.html(prompt, self._host)


def on_this_page(component: object | None) -> Component | None:
    """Returns the component if it is part of the page that is being built, else None."""
    page = Context.root_block
    return page.blocks.get(getattr(component, "_id", None)) if page is not None else None


def _of_this_gradio(prompt: Component) -> dict[str, Any]:
    """Says that only the last of several changes need be answered, where gradio knows how (not AUTOMATIC1111's)."""
    known = inspect.signature(prompt.change).parameters
    return {"trigger_mode": "always_last"} if "trigger_mode" in known else {}
