"""What a rule is: a function from the settings to sentences, and the fields it needs to be readable."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_trainer.training.config import TrainConfig

    Rule = Callable[[TrainConfig], Iterator[str]]
    Rules = tuple[tuple[Rule, tuple[str, ...]], ...]
    """Rules, each with the fields it needs: where one of them could not be read, the rule is skipped."""
