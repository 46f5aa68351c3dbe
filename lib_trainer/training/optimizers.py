"""The optimisers a person may choose: one table, and the making of one from sd-scripts' way of writing its arguments.

A row says where the class lives and which arguments differ from the class's own defaults; to add an optimiser is to
add a row. All come from torch, from `pytorch_optimizer` (Apache-2.0; the classes listed here carry MIT or Apache
notices) or from bitsandbytes (MIT), and are imported only when used. None of them draws random numbers; classes that do
(SPAM, PSGD ...) must not be listed, since training never touches the process-wide generators. Schedule-free optimisers
are left out: they need their weights switched before every save and preview.
"""
from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lib_trainer.errors import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class OptimizerRow:
    """One optimiser.

    Attributes:
        path: "package.module:Class".
        defaults: arguments in which it differs from the class's defaults; the person's arguments win.
        finds_rate: whether it estimates the learning rate itself, so that 1 is to be set (D-Adaptation, Prodigy).
        needs_cuda: whether it runs on NVIDIA cards only.
    """

    path: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    finds_rate: bool = False
    needs_cuda: bool = False

    @property
    def package(self) -> str:
        """The package to install."""
        return self.path.partition(".")[0].partition(":")[0]


_NESTEROV = {"momentum": 0.9, "nesterov": True}
_FIXED_RATE = {"relative_step": False, "scale_parameter": False, "warmup_init": False, "betas": (None, 0.999)}

OPTIMIZERS: dict[str, OptimizerRow] = {
    # foreach: one call for all factors instead of one per factor, the same bits.
    "AdamW": OptimizerRow("torch.optim:AdamW", {"foreach": True}),
    "AdamW8bit": OptimizerRow("bitsandbytes.optim:AdamW8bit", needs_cuda=True),
    "PagedAdamW8bit": OptimizerRow("bitsandbytes.optim:PagedAdamW8bit", needs_cuda=True),
    "Lion": OptimizerRow("pytorch_optimizer:Lion"),
    "Lion8bit": OptimizerRow("bitsandbytes.optim:Lion8bit", needs_cuda=True),
    "Prodigy": OptimizerRow("pytorch_optimizer:Prodigy", finds_rate=True),
    "DAdaptAdam": OptimizerRow("pytorch_optimizer:DAdaptAdam", finds_rate=True),
    "DAdaptLion": OptimizerRow("pytorch_optimizer:DAdaptLion", finds_rate=True),
    "DAdaptAdaGrad": OptimizerRow("pytorch_optimizer:DAdaptAdaGrad", finds_rate=True),
    "DAdaptAdan": OptimizerRow("pytorch_optimizer:DAdaptAdan", finds_rate=True),
    "DAdaptSGD": OptimizerRow("pytorch_optimizer:DAdaptSGD", finds_rate=True),
    # The rate is the person's (sd-scripts' default drops it silently), and no momentum, which is what saves the memory.
    "Adafactor": OptimizerRow("pytorch_optimizer:AdaFactor", _FIXED_RATE),
    "CAME": OptimizerRow("pytorch_optimizer:CAME"),
    "AdEMAMix": OptimizerRow("pytorch_optimizer:AdEMAMix"),
    "RAdam": OptimizerRow("torch.optim:RAdam"),
    "NAdam": OptimizerRow("torch.optim:NAdam"),
    "SGDNesterov": OptimizerRow("torch.optim:SGD", _NESTEROV),
    "SGDNesterov8bit": OptimizerRow("bitsandbytes.optim:SGD8bit", _NESTEROV, needs_cuda=True),
}
"""By sd-scripts' name."""

_RENAMED = {"decouple": "weight_decouple", "use_bias_correction": "bias_correction"}
"""sd-scripts' argument names (of the original Prodigy and D-Adaptation) -> pytorch_optimizer's."""

_OWN_FIELDS = ("self", "params", "lr")
"""Arguments that are not the person's to write: the learning rate has its own fields."""


def find(name: str) -> tuple[str, OptimizerRow]:
    """Returns the table's spelling of a name (case does not matter) and its row.

    Raises:
        UserError: no such optimiser; names near ones.
    """
    by_lower = {known.lower(): known for known in OPTIMIZERS}
    known = by_lower.get(name.strip().lower())
    if known is None:
        near = [by_lower[hit] for hit in difflib.get_close_matches(name.strip().lower(), by_lower, n=3)]
        raise UserError(
            f"There is no optimiser '{name}'. "
            + (f"Did you mean {' or '.join(near)}?" if near else f"Choose one of {', '.join(OPTIMIZERS)}.")
        )
    return known, OPTIMIZERS[known]


def parse_args(text: str) -> dict[str, Any]:
    """Reads sd-scripts' `--optimizer_args`: `betas=0.9,0.999 weight_decay=0 decouple=True`, values as Python literals.

    Commas between the arguments and parentheses round several values are welcome: `betas=(0.9, 0.99), d0=1e-06`.

    Raises:
        UserError: names the part that cannot be read.
    """
    beginning, *rest = re.split(r"(?:^|(?<=[\s,]))([A-Za-z_]\w*)\s*=", text)
    if beginning.strip(" ,\t\r\n"):
        raise UserError(
            f"Optimiser arguments: '{beginning.strip()}' is not an argument. Write name=value, such as "
            "betas=0.9,0.999 weight_decay=0.01."
        )
    parsed: dict[str, Any] = {}
    for name, written in zip(rest[::2], rest[1::2], strict=True):
        value = written.strip(" ,\t\r\n")
        try:
            parsed[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise UserError(
                f"Optimiser arguments: '{name}={value}' has no value that can be read. Write numbers, True, False or "
                "None, several numbers with commas, and text in quotes."
            ) from error
    return parsed


def arguments(name: str, args_text: str) -> dict[str, Any]:
    """Returns the arguments with which an optimiser will be made, after checking their names.

    Raises:
        UserError: an unknown optimiser or argument (near ones are named), or its package is missing.
    """
    known, row = find(name)
    optimizer_class = _load(known, row)
    allowed = [
        parameter.name
        for parameter in inspect.signature(optimizer_class).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name not in _OWN_FIELDS
    ]
    chosen = dict(row.defaults)
    for given, value in parse_args(args_text).items():
        renamed = given if given in allowed else _RENAMED.get(given, given)
        if renamed not in allowed:
            raise UserError(_unknown_argument(known, given, allowed))
        chosen[renamed] = value
    return chosen


def _unknown_argument(name: str, given: str, allowed: Sequence[str]) -> str:
    if given == "lr":
        return "Optimiser arguments: 'lr' does not belong here. Set the learning rate in its own field."
    near = difflib.get_close_matches(given, allowed, n=3)
    return f"Optimiser arguments: {name} has no '{given}'. " + (
        f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(allowed)}."
    )


def build(name: str, args_text: str, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
    """Makes an optimiser.

    Args:
        name: a key of OPTIMIZERS, in any case.
        args_text: the person's arguments, see `parse_args`.
        groups: one `{"name": "unet", "params": [...], "lr": 1e-4}` per part that is trained; `lr` is changed at every
            update through `optimizer.param_groups`.

    Raises:
        UserError: an unknown name or argument, a value that the class refuses, or an optimiser that cannot run here.
    """
    known, row = find(name)
    chosen = arguments(known, args_text)
    if row.needs_cuda and not all(factor.is_cuda for group in groups for factor in group["params"]):
        raise UserError(
            f"The optimiser {known} runs on NVIDIA cards only, and the model is not on one. Choose AdamW, Lion, "
            "Prodigy or Adafactor."
        )
    try:
        return _load(known, row)([dict(group) for group in groups], **{"lr": groups[0]["lr"], **chosen})
    except (ValueError, TypeError, AssertionError) as error:
        written = " ".join(f"{key}={value!r}" for key, value in chosen.items())
        raise UserError(f"The optimiser {known} refuses its arguments ({written}): {error}. Change them.") from error


def _load(name: str, row: OptimizerRow) -> type[torch.optim.Optimizer]:
    """Imports a row's class.

    Raises:
        UserError: the package is not installed or cannot start.
    """
    module, _, class_name = row.path.partition(":")
    try:
        loaded: type[torch.optim.Optimizer] = getattr(importlib.import_module(module), class_name)
    except (ImportError, OSError, RuntimeError) as error:
        # bitsandbytes raises OSError or RuntimeError where its CUDA library does not fit the machine.
        raise UserError(
            f"The optimiser {name} needs the package '{row.package}', which cannot be used here ({error}). Install it "
            f"with 'pip install {row.package.replace('_', '-')}', or choose AdamW."
        ) from error
    return loaded


def describe(name: str, args_text: str) -> str:
    """Returns the optimiser as sd-scripts records it (`ss_optimizer`): `module.Class(args)`.

    Raises:
        UserError: as `arguments`.
    """
    known, row = find(name)
    loaded = _load(known, row)
    # foreach is how the numbers are computed, not which.
    chosen = ",".join(f"{key}={value}" for key, value in arguments(known, args_text).items() if key != "foreach")
    return f"{loaded.__module__}.{loaded.__qualname__}" + (f"({chosen})" if chosen else "")


def effective_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Returns the rate by group that really acts: `lr`, times the estimate `d` of an optimiser that finds its own."""
    return {group["name"]: float(group["lr"]) * float(group.get("d", 1.0)) for group in optimizer.param_groups}


def warnings_for(name: str, rates: Mapping[str, float], rank: int, alpha: float) -> list[str]:
    """Returns sentences about known traps; none of them stops a run.

    Args:
        name: a key of OPTIMIZERS, in any case.
        rates: learning rate by group ("unet", "text_encoder"), of the groups that are trained.
        rank, alpha: of the network.
    """
    known, row = find(name)
    found = []
    values = list(rates.values())
    if row.finds_rate and any(rate != 1.0 for rate in values):
        found.append(
            f"{known} finds the learning rate itself and multiplies it by the one that is set "
            f"({', '.join(f'{rate:g}' for rate in values)}). Set 1 unless you mean it."
        )
    if row.finds_rate and len(set(values)) > 1:
        found.append(
            f"{known} uses one learning rate for everything: the first ({values[0]:g}). Different rates for U-Net and "
            "text encoder have no effect."
        )
    if not row.finds_rate and any(rate >= 0.1 for rate in values):
        found.append(
            f"A learning rate of {max(values):g} is for Prodigy and D-Adaptation. With {known}, 1e-4 is usual; the "
            "LoRA will probably be destroyed."
        )
    if rank >= 16 and alpha <= 1.0:
        found.append(
            f"Alpha {alpha:g} with rank {rank} makes the LoRA act at 1/{rank / alpha:g} of its strength, so it learns "
            "slowly. Set alpha to half the rank, or raise the learning rate."
        )
    return found
