"""The fold under the picture folder that shows which picture went into which bucket and what of it is cut away.

It shows the report of the form as it was last looked at, a page at a time: thumbnails are made for the pictures that
are seen and for no others. Words and numbers are separate text nodes, so that a WebUI's translation table finds them.
"""
from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from lib_trainer.ui import notes
from lib_trainer.ui.method_part import FOR_PICTURES

if TYPE_CHECKING:
    from lib_trainer.data.bucket_report import BucketReport, BucketRow, Row
    from lib_trainer.data.buckets import Size

ALL = "All sizes"
ORDERS = {
    "Most cut away first": "cut", "Most enlarged first": "enlarged", "Least fitting shape first": "aspect",
    "By size of the bucket": "bucket", "By name": "name", "Smallest first": "size", "Most used first": "uses",
}
"""What a person may sort by, and its name in `BucketReport.rows`."""

_ON_A_PAGE = 24
_KEPT = 4
"""Reports kept: one per open page, a few of them."""

_FULL = 40
"""Buckets listed at once; the others are counted."""


class BucketFold:
    """The controls of the fold, and the reports they show."""

    def __init__(self, report_of: Callable[[dict[str, Any]], BucketReport | None]) -> None:
        """Makes the fold.

        Args:
            report_of: makes the report of settings that are not known any more, None = there is none.
        """
        self._report_of = report_of
        self._kept: OrderedDict[str, BucketReport | None] = OrderedDict()

    def keep(self, settings: dict[str, Any], report: BucketReport | None) -> None:
        """Remembers the report of some settings, the latest few of them."""
        key = json.dumps(settings, sort_keys=True, default=str)
        self._kept[key] = report
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def lay_out(self) -> None:
        """Makes the controls."""
        with gr.Accordion("Buckets: what is seen of every picture", open=False, elem_id="train_lora_bucket_report",
                          elem_classes=[FOR_PICTURES]):
            with gr.Row():
                self.order = gr.Dropdown(list(ORDERS), value=next(iter(ORDERS)), label="Order", interactive=True,
                                         elem_id="train_lora_buckets_order")
                self.size = gr.Dropdown([ALL], value=ALL, label="Bucket", interactive=True,
                                        elem_id="train_lora_buckets_size")
                self.page = gr.Number(1, label="Page", precision=0, elem_id="train_lora_buckets_page")
            with gr.Row(elem_classes=["tl-small-buttons"]):
                self.show = gr.Button("Show", elem_id="train_lora_buckets_show")
                self.back = gr.Button("Page before", elem_id="train_lora_buckets_back")
                self.next = gr.Button("Next page", elem_id="train_lora_buckets_next")
            self.shown = gr.HTML("", elem_id="train_lora_buckets_shown")

    def connect(self, looked: Any, **event: Any) -> None:  # noqa: ANN401 - gradio's component
        """Connects the controls; `looked` holds the settings of the last look at the form, or None."""
        inputs, outputs = [looked, self.order, self.size, self.page], [self.shown, self.size, self.page]
        for button, by in ((self.show, 0), (self.back, -1), (self.next, 1)):
            button.click(self._turning(by), inputs, outputs, **event)
        self.order.input(self._turning(None), inputs, outputs, **event)
        self.size.input(self._turning(None), inputs, outputs, **event)

    def _turning(self, by: int | None) -> Callable[..., list[Any]]:
        def turned(looked: dict[str, Any] | None, order: str, size: str, page: float | None) -> list[Any]:
            return self.on_show(looked, order, size, 1 if by is None else int(page or 1) + by)

        return turned

    def on_show(self, looked: dict[str, Any] | None, order: str, size: str, page: int) -> list[Any]:
        """Returns the fold's HTML, the sizes to choose from and the page that is shown."""
        report = self._report(looked)
        if report is None:
            return [notes.problems(["There is nothing to show yet: give a picture folder that can be read."]),
                    gr.update(choices=[ALL], value=ALL), 1]
        sizes = {_named(row.bucket): row.bucket for row in report.buckets}
        chosen = sizes.get(size)
        pages = max(1, -(-report.count(chosen) // _ON_A_PAGE))
        page = min(max(1, page), pages)
        rows = report.rows(ORDERS.get(order, "cut"), (page - 1) * _ON_A_PAGE, _ON_A_PAGE, chosen)
        html = _totals(report) + _table(report.buckets) + _paged(page, pages) + _pictures(report, rows)
        return [f'<div class="tl-card tl-buckets">{html}</div>',
                gr.update(choices=[ALL, *sizes], value=size if chosen else ALL), page]

    def _report(self, looked: dict[str, Any] | None) -> BucketReport | None:
        if looked is None:
            return None
        key = json.dumps(looked, sort_keys=True, default=str)
        if key in self._kept:
            return self._kept.get(key)
        report = self._report_of(looked)
        self.keep(looked, report)
        return report


def _named(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _totals(report: BucketReport) -> str:
    facts = [(f"{report.pictures:,}", "pictures", ""), (f"{len(report.buckets):,}", "buckets", ""),
             (f"{report.mean_ar_error:.3f}", "mean aspect error", ""),
             (f"{report.enlarged:,}", "enlarged", "tl-low" if report.enlarged else "")]
    if report.dropped_reg:
        facts.append((f"{report.dropped_reg:,}", "regularisation pictures unused", ""))
    cells = "".join(f'<span class="{style}"><b>{number}</b> <small>{word}</small></span>'
                    for number, word, style in facts)
    return f'<div class="tl-facts">{cells}</div>'


def _table(buckets: list[BucketRow]) -> str:
    most = sorted(buckets, key=lambda row: -row.uses)[:_FULL]
    rows = "".join(
        f"<tr><td>{_named(row.bucket)}</td><td>{row.pictures:,}</td><td>{row.uses:,}</td><td>{row.enlarged:,}</td>"
        f"<td>{row.ar_error:.3f}</td><td>{row.cut:.1%}</td></tr>" for row in most)
    more = f'<p class="tl-quiet">+{len(buckets) - _FULL:,}</p>' if len(buckets) > _FULL else ""
    return ("<div class='tl-scroll'><table><tr><th>Bucket</th><th>Pictures</th><th>Uses per epoch</th><th>Enlarged</th>"
            f"<th>Mean aspect error</th><th>Cut away</th></tr>{rows}</table>{more}</div>")


def _paged(page: int, pages: int) -> str:
    return f'<p class="tl-quiet"><span>Page</span> <b>{page:,}</b> / <b>{pages:,}</b></p>'


def _pictures(report: BucketReport, rows: list[Row]) -> str:
    return f'<div class="tl-crops">{"".join(_picture(report, row) for row in rows)}</div>'


def _picture(report: BucketReport, row: Row) -> str:
    from lib_trainer.ui.crop_thumbnails import thumbnail

    source = thumbnail(report.placed(row.number))
    image = f'<img src="{source}" alt="">' if source else '<div class="tl-gone"></div>'
    badges = f'<span class="tl-badge">×{row.enlarged:.2f} <span>enlarged</span></span>' if row.enlarged > 1 else ""
    badges += '<span class="tl-badge tl-calm">regularisation</span>' if row.is_reg else ""
    badges += '<span class="tl-badge tl-calm">anywhere</span>' if row.moves else ""
    name = escape(row.key.rsplit("/", 1)[-1])
    return (
        f'<figure title="{escape(row.key)}">{image}<figcaption><i>{name}</i>'
        f"<i>{row.width}x{row.height} → {_named(row.resized)} → {_named(row.bucket)}</i>"
        f"<span><b>{row.cut:.1%}</b> <small>cut away</small> · <b>{row.uses:,}</b> <small>uses</small></span>"
        f"{badges}</figcaption></figure>"
    )
