"""A tab's gradio page, which is only ever drawn inside another page.

gradio makes a web application of every `Blocks`, version 4 even of an empty one, with some fifty routes each time. Only
the outermost page is ever served: for a tab of a WebUI that is a twentieth of a second of its start for nothing.
"""
from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlockContext
from gradio.context import Context


class InnerBlocks(gr.Blocks):
    """`gr.Blocks` without a web application of its own; `render` draws it into the page around it."""

    def queue(self, *args: Any, **kwargs: Any) -> InnerBlocks:
        """Does nothing: the events wait in the queue of the page around this one."""
        return self

    def __exit__(self, exc_type: type[BaseException] | None = None, *args: Any) -> None:
        """Ends the page as gradio does, but for configuration and application."""
        if exc_type is not None or self.parent is not None:
            super().__exit__(exc_type, *args)
            return
        BlockContext.__exit__(self, None)
        self.attach_load_events()
        Context.root_block = None
        self.exited = True
