"""A comparison drawn by a WebUI's own loop: every batch of one picture is a cell.

When the prompts of a generation are known, and before its first batch, they are replaced by those of the cells. From
there on everything is the host's: progress, Interrupt, hires fix, extra networks, infotext and saving of every cell.
At the end the sheets stand before the cells. What belongs to a generation is found by the generation itself, so two at
a time (another extension draws a part of a picture anew) do not meet, and one that dies leaves nothing to the next.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lib_trainer.compare.cells import Cell, Comparison, Sheet
from lib_trainer.hosts.webui import infotext
from lib_trainer.hosts.webui.generations import OfGeneration

if TYPE_CHECKING:
    from PIL.Image import Image

_FIELDS = ("batch_size", "n_iter", "do_not_save_grid")
"""What a comparison changes for the time of its drawing."""


@dataclass(frozen=True)
class _Running:
    """A generation that draws a comparison.

    Attributes:
        comparison: what is drawn.
        prompt: the person's own, with styles. before: the values of `_FIELDS`.
    """

    comparison: Comparison
    prompt: str
    before: dict[str, Any]


class PlotBatches:
    """The comparisons that are being drawn."""

    def __init__(self) -> None:
        self._running: OfGeneration[_Running] = OfGeneration()

    def begin(self, p: Any, comparison: Comparison) -> None:
        """Has a generation draw the cells; called when all its prompts and seeds are known (`process`)."""
        hires = getattr(p, "all_hr_prompts", None)
        before = {name: getattr(p, name) for name in _FIELDS}
        running = _Running(comparison, p.all_prompts[0], before)
        cells = comparison.cells
        p.batch_size, p.n_iter, p.do_not_save_grid = 1, len(cells), True
        p.all_prompts = [cell.change(running.prompt) for cell in cells]
        p.all_negative_prompts = [p.all_negative_prompts[0]] * len(cells)
        p.all_seeds = _seeds(cells, p.all_seeds[0])
        p.all_subseeds = [p.all_subseeds[0]] * len(cells)
        if hires:
            p.all_hr_prompts = [cell.change(hires[0]) for cell in cells]
            p.all_hr_negative_prompts = [p.all_hr_negative_prompts[0]] * len(cells)
        for sentence in comparison.told:
            p.comment(sentence)
        self._running.put(p, running)

    def batch_begins(self, p: Any) -> None:
        """Names the cell's own hires prompt: the hosts write the first batch's into the infotext of all of them."""
        if self._running.get(p) is not None and getattr(p, "enable_hr", False):
            hires, own = p.all_hr_prompts[p.iteration], p.all_prompts[p.iteration]
            p.extra_generation_params["Hires prompt"] = None if hires == own else hires

    def end(self, p: Any, processed: Any) -> None:
        """Puts the sheets before the cells, saved as the host's settings say, and `p` back (`postprocess`)."""
        running = self._running.take(p)
        if running is None:
            return
        first, stride = processed.index_of_first_image, _images_per_cell(p)
        drawn = processed.images[first::stride][:len(processed.infotexts) - first]

        def picture(index: int) -> Image | None:
            return drawn[index] if index < len(drawn) else None

        for name, value in running.before.items():
            setattr(p, name, value)
        if not drawn:
            return
        from modules import images as fonts

        made = [(sheet, _infotext(p, running, sheet)) for sheet in running.comparison.sheets(picture, fonts.get_font)]
        for sheet, text in made:
            _finish(p, running, sheet, text)
        processed.images[:0] = [sheet.image for sheet, _ in made]
        processed.infotexts[:0] = [text for _, text in made]
        processed.index_of_first_image += len(made)
        told = "".join(f"{sentence}\n" for sheet, _ in made for sentence in sheet.told)
        processed.comments += told


def _seeds(cells: Sequence[Cell], own: int) -> list[int]:
    return [own if cell.seed is None else cell.seed for cell in cells]


def _images_per_cell(p: Any) -> int:
    """How many images the host lists for a cell: masks follow the picture in img2img, where a person wants them."""
    from modules.shared import opts

    masks = (opts.data.get("return_mask"), opts.data.get("return_mask_composite"))
    return 1 + (sum(map(bool, masks)) if getattr(p, "image_mask", None) is not None else 0)


def _infotext(p: Any, running: _Running, sheet: Sheet) -> str:
    """Returns the generation's infotext with the person's own prompt and the facts of the sheet."""
    from modules import processing

    kept = p.extra_generation_params
    left_out = (*infotext.FIELDS, "Hires prompt")
    p.extra_generation_params = {key: kept[key] for key in kept if key not in left_out} | dict(sheet.facts)
    try:
        text: str = processing.create_infotext(
            p, [running.prompt], p.all_seeds[:1], p.all_subseeds[:1], index=0,
            all_negative_prompts=p.all_negative_prompts[:1])
    finally:
        p.extra_generation_params = kept
    return text


def _finish(p: Any, running: _Running, sheet: Sheet, text: str) -> None:
    from modules import images
    from modules.shared import opts

    if opts.enable_pnginfo:
        sheet.image.info["parameters"] = text
    if opts.grid_save and not running.before["do_not_save_grid"]:
        images.save_image(
            sheet.image, p.outpath_grids, "block_weight_plot", seed=p.all_seeds[0], prompt=running.prompt,
            extension=opts.grid_format, info=text, short_filename=not opts.grid_extended_filename, p=p, grid=True)
