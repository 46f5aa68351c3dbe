"""The plot of the Block Weight panel: three axes, how many pictures they make, and where our page draws, a button.

In a WebUI the same controls are part of the script's values (see `script_controls`): what is chosen here acts when the
WebUI's own Generate is pressed.
"""
from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.compare import axes as plot_axes
from lib_trainer.errors import UserError
from lib_trainer.host import Host
from lib_trainer.ui.notes import problems_of

if TYPE_CHECKING:
    from gradio.components import Component

    from lib_trainer.compare.peer_plot import PeerPlot

_FIRST = {
    "X": (plot_axes.VALUES, "0,0.25,0.5,0.75,1"), "Y": (plot_axes.BLOCKS, "IN05-OUT05"), "Z": (plot_axes.NONE, ""),
}
_HELP = """<details class="tl-help"><summary>How to write a plot</summary><ul>
<li><span>Write XYZ as the block weights of a LoRA:</span> <code>&lt;lora:name:1:XYZ&gt;</code></li>
<li><span>ZYX gets 1 - v, so that two LoRAs share the blocks:</span>
<code>&lt;lora:one:1:XYZ&gt;&lt;lora:other:1:ZYX&gt;</code></li>
<li><span>values: numbers. They need an axis Block ID.</span> <code>0,0.5,1</code></li>
<li><span>Block ID: blocks with spaces, ranges, NOT for all others.</span> <code>IN05-OUT05, NOT IN09-OUT02</code></li>
<li><span>seed: whole numbers, -1 is a random one.</span> <code>1,2,-1</code></li>
<li><span>Original Weights: presets to begin with; on two axes their sum.</span> <code>INS,OUTALL</code></li>
<li><span>elements: rules for lbwe=XYZ in the tag.</span> <code>IN05-OUT05:attn:0,:proj:0.5</code></li>
<li><span>Blocks that no axis names have the numbers of a preset named XYZ, or 1.</span></li>
</ul></details>"""
_QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_name": False}


class PlotPanel:
    """The plot's controls.

    Attributes:
        axes: type and values of X, Y and Z.
        draw, progress, gallery, told: the button that draws, and what it shows; only where our page draws.
    """

    draw: gr.Button
    progress: gr.HTML
    gallery: gr.Gallery
    told: gr.HTML

    def __init__(self, host: Host, prefix: str) -> None:
        """Starts an empty panel; `prefix` begins all element ids."""
        self._host = host
        self._prefix = prefix
        self.axes: list[Component] = []

    def lay_out(self, prompt: Component | None, *, draws: bool) -> None:
        """Makes the controls of a plot.

        Args:
            prompt: the prompt's text box, if it is on this page.
            draws: whether there is a button that draws.
        """
        gr.HTML(_HELP, elem_id=self._id("help"))
        for name, (kind, text) in _FIRST.items():
            with gr.Row():
                self.axes.append(gr.Dropdown(
                    list(plot_axes.KINDS), value=kind, label=f"{name} type", elem_id=self._id(f"{name.lower()}type")))
                self.axes.append(gr.Textbox(
                    text, label=f"{name} values", lines=1, elem_id=self._id(f"{name.lower()}vals"), scale=3))
        self.estimate = gr.HTML("", elem_id=self._id("estimate"))
        if draws:
            self._lay_out_results()
        if prompt is not None:
            # gradio 3 drops what is typed while an answer is under way, so a box is looked at when it is left, too.
            events = [prompt.blur, *(axis.change for axis in self.axes), *(axis.blur for axis in self.axes[1::2])]
            for changed in events:
                changed(self.on_estimate, [prompt, *self.axes], [self.estimate], **_QUIET)

    def _lay_out_results(self) -> None:
        self.draw = gr.Button("Draw plot", elem_id=self._id("draw"))
        self.progress = gr.HTML("", elem_id=self._id("progress"))
        self.gallery = gr.Gallery(
            label="Grids and pictures", elem_id=self._id("gallery"), columns=2, height=520, object_fit="contain",
            format="png", show_share_button=False, interactive=False, preview=True)
        self.told = gr.HTML("", elem_id=self._id("told"))

    def _id(self, part: str) -> str:
        return f"{self._prefix}_plot_{part}"

    def plot(self, prompt: str, *values: Any, sure: bool = True) -> PeerPlot:
        """Returns the plot that the controls ask for.

        Args:
            prompt: the prompt with its placeholders.
            values: those of `axes`.
            sure: False where it is only to be counted: random seeds are not rolled then.

        Raises:
            UserError: what is wrong with it.
        """
        from lib_trainer.compare import peer_plot
        from lib_trainer.compare.peer_plot import Names

        names = Names(self._host.presets(), self._host.elements(), self._host.checkpoint().family.arch)
        asked = list(zip(values[::2], values[1::2], strict=True))
        if sure:
            return peer_plot.plot_of(asked, names, prompt)
        counter = itertools.count()
        return peer_plot.plot_of(asked, names, prompt, lambda: next(counter))

    def on_estimate(self, prompt: str, *values: Any) -> str:
        """Says how many pictures the plot has, or what is wrong with it; nothing where no tag asks for one."""
        try:
            plot = self.plot(prompt or "", *values, sure=False)
        except UserError as error:
            return problems_of(error) if "XYZ" in (prompt or "") or "ZYX" in (prompt or "") else ""
        pictures, grids = len(plot.cells), plot.grids
        return (f'<p class="tl-quiet"><b>{pictures}</b> <span>{"picture" if pictures == 1 else "pictures"}</span>, '
                f'<b>{grids}</b> <span>{"grid" if grids == 1 else "grids"}</span></p>')
