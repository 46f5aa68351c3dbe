"""What an analysis found, as HTML: the proposal in words, the heat map, the ranked table with small pictures."""
from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

from lib_trainer.compare import heat_map
from lib_trainer.compare.analysis import Analysis, cost_line, percent, summary
from lib_trainer.compare.cost import Progress, duration
from lib_trainer.compare.picture_run import Findings
from lib_trainer.compare.pictures import Pair
from lib_trainer.compare.ranking import Effect
from lib_trainer.ui.notes import warnings

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 112
"""Pixels of a small picture: big enough to see what changes, small enough that twenty-six of them load at once."""

_HEADS = {"without": "lost without it", "only": "alone", "mean": "mean difference", "changed": "changed values"}
_MARKS = {"without": "", "only": "", "mean": " %", "changed": " %"}


def results(findings: Findings) -> str:
    """Returns everything that was found."""
    analysis = findings.analysis
    proposal = analysis.proposal
    told = f'<p class="tl-line">{escape(summary(analysis))}</p>' if proposal else ""
    drawing = heat_map.svg(analysis.of_block(), analysis.subject.present, analysis.subject.arch)
    return (f'<div class="tl-analysis">{told}<div class="tl-analysis-map">{drawing}</div>{_table(findings)}'
            f'<p class="tl-quiet"><code>{escape(f"{analysis.checkpoint}: {cost_line(analysis)}")}</code></p>'
            f"{warnings(analysis.told)}</div>")


def progress(step: Progress) -> str:
    """Returns how far an analysis is."""
    part = step.done / max(1, step.total)
    left = f", {duration(step.left)}" if step.left else ""
    return (f'<div class="tl-track"><div class="tl-fill" style="width:{part:.0%}"></div></div>'
            f'<div class="tl-line">{escape(f"{step.done} / {step.total} {step.what}{left}")}</div>')


def _table(findings: Findings) -> str:
    analysis, pairs = findings.analysis, {pair.group.label: pair for pair in findings.pairs}
    measures = list(analysis.effects[0].measures) if analysis.effects else []
    heads = ["block", "effect", "share", *(_HEADS[name] for name in measures)]
    heads += ["picture", "difference"] if pairs else []
    kept = set(analysis.proposal.labels) if analysis.proposal else set()
    rows = "".join(_row(one, analysis, measures, one.label in kept, pairs) for one in analysis.effects)
    return ('<div class="tl-scroll"><table><tr>' + "".join(f"<th>{head}</th>" for head in heads)
            + f"</tr>{rows}</table></div>")


def _row(one: Effect, analysis: Analysis, measures: list[str], kept: bool, pairs: dict[str, Pair]) -> str:
    greatest = analysis.effects[0].effect or 1.0
    bar = f'<i class="tl-analysis-bar" style="width:{one.effect / greatest:.1%}"></i>'
    cells = [f"<b>{escape(one.label)}</b>", f"{one.effect:.3g}{bar}", percent(one.share)]
    cells += [f"{one.measures[name]:.3g}{_MARKS[name]}" for name in measures]
    if pairs:
        pair = pairs.get(one.label)
        cells += [_small(pair.picture, one.label), _small(pair.difference, one.label)] if pair else ["", ""]
    style = ' class="tl-analysis-kept"' if kept else ""
    return f"<tr{style}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _small(picture: Image, label: str) -> str:
    """Returns a picture inside the page: gradio 3 and 4 serve files differently, this needs none."""
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    written = io.BytesIO()
    small.save(written, format="JPEG", quality=88)
    data = base64.b64encode(written.getvalue()).decode("ascii")
    return f'<img alt="{escape(label)}" src="data:image/jpeg;base64,{data}">'
