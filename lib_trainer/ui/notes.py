"""Sentences for the person as HTML: faults, warnings and good news look the same everywhere on the page."""
from __future__ import annotations

from collections.abc import Iterable
from html import escape

from lib_trainer.errors import Problems, UserError


def problems(sentences: Iterable[str]) -> str:
    """Returns what must be mended as a list that cannot be overlooked; "" of nothing."""
    return _list(sentences, "tl-error")


def problems_of(error: UserError) -> str:
    """Returns the sentences of an error."""
    return problems(error.problems if isinstance(error, Problems) else [str(error)])


def warnings(sentences: Iterable[str]) -> str:
    """Returns what a person should read; "" of nothing."""
    return _list(sentences, "tl-warn")


def note(sentence: str, until_the_end: bool = False) -> str:
    """Returns one friendly sentence; one that is true only `until_the_end` of the training is hidden then."""
    return f'<div class="tl-note{" tl-began" if until_the_end else ""}">{escape(sentence)}</div>'


def _list(sentences: Iterable[str], style: str) -> str:
    return "".join(f'<div class="tl-note {style}" role="alert">{escape(sentence)}</div>' for sentence in sentences)
