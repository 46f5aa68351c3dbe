"""Errors that are the user's to solve.

A `UserError` is shown to the person word for word, on the page, in the API's answer and on the command line. Its text
says what is wrong (with the value), where, and what to do. Any other exception is a bug of ours and keeps its
traceback.
"""
from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """One sentence for the person: what, where, what to do."""


class Problems(UserError):
    """Several faults found together, so that they can be mended together.

    Attributes:
        problems: one sentence per fault, in the order of the form.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class Lacking(Problems):
    """Something is not given without which it does not go on.

    Attributes:
        field: name of the field, or option, that holds it; whoever shows the sentences knows where it is.
    """

    def __init__(self, field: str, problems: Iterable[str]) -> None:
        self.field = field
        super().__init__(problems)


class ModelChanged(UserError):
    """The host's model is no longer the one that was leased; training pauses until it is back."""
