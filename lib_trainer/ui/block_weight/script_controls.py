"""What a WebUI's script is asked for on its panel: whether block weights act, a plot, or the analysis by pictures.

The WebUIs hand the values over by their place, and clients of the LoRA Block Weight extension know the places: the
order of `components` is that extension's and never changes (`hosts.webui.script_args` reads them). Some stand there for
clients alone and are not seen: presets and rules of a request (the page has the files), and the log switches.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.host import Host
from lib_trainer.ui.block_weight.analysis_boxes import AnalysisBoxes
from lib_trainer.ui.block_weight.plot import PlotPanel

if TYPE_CHECKING:
    from gradio.components import Component

MODES = ("Disable", "XYZ plot", "Effective Block Analyzer")
"""What the script draws, in the order of the places that clients send."""

_ACTIVE = "Block weights act"
_ANALYSIS = (
    f'<p class="tl-quiet"><code>{MODES[2]}</code> <span>One picture with all blocks, one for each block with the first '
    "number of the range, and how far they are apart.</span> <span>Write XYZ as the block weights of a LoRA, then "
    "press Generate; blocks and range stand in the analyzer below.</span></p>")


class ScriptControls:
    """The script's values.

    Attributes:
        plot: the axes and their estimate.
        named: all components by the names of their places, in the order of the places.
    """

    def __init__(self, host: Host, prefix: str, analysis: AnalysisBoxes) -> None:
        """Starts empty.

        Args:
            host: whose presets and rules the plot knows.
            prefix: begins all element ids.
            analysis: the boxes of the analyzer, which are laid out elsewhere.
        """
        self.plot = PlotPanel(host, prefix)
        self._analysis = analysis
        self._prefix = prefix
        self._made: dict[str, Component] = {}

    def lay_out(self, prompt: Component | None) -> None:
        """Makes all controls; `prompt` is the prompt's text box, if it is on this page."""
        self._made["active"] = gr.Checkbox(
            True, label=_ACTIVE, elem_id=self._id("active"),
            info="Off: the tags of LoRAs act with their plain strength.")
        with gr.Accordion("Plot", open=False, elem_id=self._id("plot")):
            self._made["xyzsetting"] = gr.Radio(
                list(MODES), value=MODES[0], type="index", label="Draw", elem_id=self._id("mode"),
                info="Acts when Generate is pressed: every cell is a picture of its own.")
            self.plot.lay_out(prompt, draws=False)
            gr.HTML(_ANALYSIS)
        self._unseen()

    def _unseen(self) -> None:
        """Makes what only clients send; the page's config would keep the first values of text boxes forever."""
        for name, make in (("presets", gr.Textbox), ("elemental", gr.Textbox), ("print_change", gr.Checkbox),
                           ("debug", gr.Checkbox)):
            value: Any = "" if make is gr.Textbox else False
            component = make(value, visible=False, label=name, elem_id=self._id(name))
            component.do_not_save_to_config = True
            self._made[name] = component

    def _id(self, part: str) -> str:
        return f"{self._prefix}_script_{part}"

    @property
    def named(self) -> dict[str, Component]:
        """All components by the names of their places, in that order."""
        axes = dict(zip(("xtype", "xvals", "ytype", "yvals", "ztype", "zvals"), self.plot.axes, strict=True))
        made = {**self._made, **axes, **self._analysis.named}
        return {name: made[name] for name in (
            "presets", "active", "xyzsetting", *axes, "range", "blocks", "n_seeds", "diffcolour", "threshold",
            "swapXY", "elemental", "print_change", "debug")}

    @property
    def components(self) -> list[Component]:
        """What the script's `ui` returns."""
        return list(self.named.values())
