"""The optimisers a person may choose: one table, and the making of one from sd-scripts' way of writing its arguments.

A row says where the class lives and which arguments differ from the class's own defaults; to add an optimiser is to
add a row. The classes come from torch, transformers (Apache-2.0), `pytorch_optimizer` (Apache-2.0; those listed here
carry MIT or Apache notices), `dadaptation` (MIT) or bitsandbytes (MIT) and are imported only when used. Where
`pytorch_optimizer` computes what the method's author does (tests hold them to rounding) its class is taken, since it
waits for the device once a step instead of once a tensor; where it does not, the author's. No row draws random numbers.

Any other class can be named as well: a name of `torch.optim`, or `package.module.Class`. What such a class draws it
draws from the run's own seed (`seeds.process_wide`).
"""
from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lib_trainer import seeds
from lib_trainer.errors import UserError
from lib_trainer.training.learning import arguments as written_arguments
from lib_trainer.training.learning import one_call

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
        schedule_free: whether the weights must be switched before every save and preview (Defazio et al. 2024).
        own_rate: the argument that has it set the rate without the person's ("" = there is none).
        unit: how a part's rate, relative to the first one's, becomes the unit that its weights are measured in: as its
            power (see `rate_finding`).
        original: the method's author's class, which knows arguments that this one does not.
        foreign: whether it is none of the table's, so that it may draw random numbers.
    """

    path: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    finds_rate: bool = False
    needs_cuda: bool = False
    schedule_free: bool = False
    own_rate: str = ""
    unit: float = 1.0
    original: str = ""
    foreign: bool = False


def _8bit(path: str, **defaults: Any) -> OptimizerRow:
    return OptimizerRow(f"bitsandbytes.optim:{path}", defaults, needs_cuda=True)


def _finder(path: str, unit: float = 1.0, original: str = "", **defaults: Any) -> OptimizerRow:
    return OptimizerRow(path, defaults, finds_rate=True, unit=unit, original=original)


def _schedule_free(path: str) -> OptimizerRow:
    return OptimizerRow(f"pytorch_optimizer:{path}", schedule_free=True)


_NESTEROV = {"momentum": 0.9, "nesterov": True}
_PREPRINT = _finder("dadaptation.experimental:DAdaptAdamPreprint")

OPTIMIZERS: dict[str, OptimizerRow] = {
    "AdamW": OptimizerRow("torch.optim:AdamW"),
    "AdamW8bit": _8bit("AdamW8bit"),
    "PagedAdamW": _8bit("PagedAdamW"),
    "PagedAdamW8bit": _8bit("PagedAdamW8bit"),
    "PagedAdamW32bit": _8bit("PagedAdamW32bit"),
    "Lion": OptimizerRow("pytorch_optimizer:Lion"),
    "Lion8bit": _8bit("Lion8bit"),
    "PagedLion8bit": _8bit("PagedLion8bit"),
    "Prodigy": _finder("pytorch_optimizer:Prodigy", original="prodigyopt.Prodigy"),
    "DAdaptation": _PREPRINT,
    "DAdaptAdamPreprint": _PREPRINT,
    "DAdaptAdam": _finder("pytorch_optimizer:DAdaptAdam", original="dadaptation.DAdaptAdam"),
    "DAdaptLion": _finder("pytorch_optimizer:DAdaptLion", betas=(0.9, 0.99), weight_decouple=True),
    "DAdaptAdaGrad": _finder("pytorch_optimizer:DAdaptAdaGrad", eps=1e-6),
    "DAdaptAdan": _finder("dadaptation:DAdaptAdan"),
    "DAdaptAdanIP": _finder("dadaptation.experimental:DAdaptAdanIP"),
    # Its steps are proportional to the gradient, whose unit is the inverse of the weight's.
    "DAdaptSGD": _finder("dadaptation:DAdaptSGD", unit=0.5),
    # The rate is the person's, where sd-scripts' default drops it silently.
    "Adafactor": OptimizerRow(
        "transformers.optimization:Adafactor",
        {"relative_step": False, "scale_parameter": False, "warmup_init": False}, own_rate="relative_step"),
    "AdamWScheduleFree": _schedule_free("ScheduleFreeAdamW"),
    "RAdamScheduleFree": _schedule_free("ScheduleFreeRAdam"),
    "SGDScheduleFree": _schedule_free("ScheduleFreeSGD"),
    "CAME": OptimizerRow("pytorch_optimizer:CAME"),
    "AdEMAMix": OptimizerRow("pytorch_optimizer:AdEMAMix"),
    "AdEMAMix8bit": _8bit("AdEMAMix8bit"),
    "PagedAdEMAMix8bit": _8bit("PagedAdEMAMix8bit"),
    "RAdam": OptimizerRow("torch.optim:RAdam"),
    "NAdam": OptimizerRow("torch.optim:NAdam"),
    "SGDNesterov": OptimizerRow("torch.optim:SGD", _NESTEROV),
    "SGDNesterov8bit": _8bit("SGD8bit", **_NESTEROV),
}
"""By sd-scripts' name."""

WITHOUT_EFFECT = ("log_every", "fsdp_in_use", "use_triton")
"""Arguments of the original classes about logging and how they compute, which ours do not have."""

_RENAMED = {"decouple": "weight_decouple", "use_bias_correction": "bias_correction"}
"""Argument names of the original Prodigy and D-Adaptation -> pytorch_optimizer's."""

_OWN_FIELDS = ("self", "params", "lr")
"""Arguments that are not the person's to write: the learning rate has its own fields."""

_ARGUMENTS = "Optimiser arguments"


def find(name: str) -> tuple[str, OptimizerRow]:
    """Returns the table's spelling of a name (case does not matter) and its row; other classes get a row of their own.

    Args:
        name: a key of OPTIMIZERS, a class of `torch.optim`, or a path such as "pytorch_optimizer.CAME".

    Raises:
        UserError: no such optimiser; names near ones.
    """
    wanted = name.strip()
    by_lower = {known.lower(): known for known in OPTIMIZERS}
    if known := by_lower.get(wanted.lower()):
        return known, OPTIMIZERS[known]
    if "." in wanted:
        return wanted, _foreign(wanted)
    import torch

    of_torch = {found.lower(): found for found in vars(torch.optim) if found[:1].isupper() and found != "Optimizer"}
    if found := of_torch.get(wanted.lower()):
        return found, _foreign(f"torch.optim.{found}")
    near = [by_lower[hit] for hit in difflib.get_close_matches(wanted.lower(), by_lower, n=3)]
    raise UserError(
        f"There is no optimiser '{name}'. "
        + (f"Did you mean {' or '.join(near)}?" if near else f"Choose one of {', '.join(OPTIMIZERS)}.")
        + " Other classes are named as package.module.Class."
    )


def _foreign(dotted: str) -> OptimizerRow:
    """Returns the row of a class that is named by its path; of one in the table without the table's defaults."""
    module, _, name = dotted.rpartition(".")
    path = f"{module}:{name}"
    for row in OPTIMIZERS.values():
        if row.path == path:
            return replace(row, defaults={})
    return OptimizerRow(
        path, foreign=not module.startswith(("torch.optim", "bitsandbytes")),
        finds_rate=any(word in dotted.lower() for word in ("dadapt", "prodigy")),
        needs_cuda=module.startswith("bitsandbytes"), schedule_free="schedulefree" in dotted.lower().replace("_", ""),
        unit=0.5 if name == "DAdaptSGD" else 1.0,
    )


def parse_args(text: str) -> dict[str, Any]:
    """Reads sd-scripts' `--optimizer_args`, see `arguments.parse`.

    Raises:
        UserError: names the part that cannot be read.
    """
    return written_arguments.parse(text, _ARGUMENTS)


def arguments(name: str, args_text: str) -> dict[str, Any]:
    """Returns the arguments with which an optimiser will be made, after checking their names.

    Raises:
        UserError: an unknown optimiser or argument (near ones are named), or its package is missing.
    """
    known, row = find(name)
    allowed = written_arguments.names(_load(known, row), _OWN_FIELDS)
    given = parse_args(args_text)
    chosen = {} if row.own_rate and given.get(row.own_rate) else dict(row.defaults)
    for word, value in given.items():
        renamed = word if word in allowed else _RENAMED.get(word, word)
        if renamed in allowed:
            chosen[renamed] = value
        elif word not in WITHOUT_EFFECT or row.foreign:
            raise UserError(_unknown_argument(known, row, word, allowed))
    if known == "Prodigy" and chosen.get("weight_decay") and chosen.get("weight_decouple") is False:
        raise UserError(
            f"{_ARGUMENTS}: Prodigy's weight decay is decoupled here; with decouple=False it would do nothing. Leave "
            f"decouple out, or choose '{row.original}' as the optimiser."
        )
    return chosen


def _unknown_argument(name: str, row: OptimizerRow, given: str, allowed: Sequence[str]) -> str:
    if given == "lr":
        return f"{_ARGUMENTS}: 'lr' does not belong here. Set the learning rate in its own field."
    told = written_arguments.unknown(_ARGUMENTS, name, given, allowed)
    return told + (f" The author's class may have it: choose '{row.original}'." if row.original else "")


def sets_own_rate(name: str, args_text: str) -> bool:
    """Whether the learning rates that a person sets are not used (Adafactor with relative_step=True).

    Raises:
        UserError: as `arguments`.
    """
    _, row = find(name)
    return bool(row.own_rate) and bool(parse_args(args_text).get(row.own_rate, not row.defaults))


def build(name: str, args_text: str, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
    """Makes an optimiser.

    Args:
        name: see `find`.
        args_text: the person's arguments, see `parse_args`.
        groups: one `{"name": "unet", "params": [...], "lr": 1e-4}` per part that is trained, with the greatest rate of
            the run; `lr` is changed at every update through `optimizer.param_groups`.

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
    loaded = _load(known, row)
    if not any(flag in chosen for flag in one_call.FLAGS):
        weights = [weight for group in groups for weight in group["params"]]
        chosen |= one_call.flags(row.path, written_arguments.names(loaded, _OWN_FIELDS), weights)
    made: list[dict[str, Any]] = [dict(group) for group in groups]
    rate = None if sets_own_rate(known, args_text) else groups[0]["lr"]
    if rate is None:
        for group in made:
            del group["lr"]
    try:
        with seeds.process_wide(0, "optimizer") if row.foreign else nullcontext():
            return loaded(made, **{"lr": rate, **chosen})
    except (ValueError, TypeError, AssertionError) as error:
        raise UserError(
            f"The optimiser {known} refuses its arguments ({written_arguments.shown(chosen)}): {error}. Change them."
        ) from error


def _load(name: str, row: OptimizerRow) -> type[torch.optim.Optimizer]:
    """Imports a row's class.

    Raises:
        UserError: the package is not installed or cannot start, or the class is no optimiser.
    """
    import torch

    loaded = written_arguments.load_class(row.path, f"optimiser {name}")
    if not issubclass(loaded, torch.optim.Optimizer):
        raise UserError(f"'{name}' is no optimiser: it must be a torch.optim.Optimizer. Choose another class.")
    return loaded


def describe(name: str, args_text: str) -> str:
    """Returns the optimiser as sd-scripts records it (`ss_optimizer`): `module.Class(args)`.

    Raises:
        UserError: as `arguments`.
    """
    known, row = find(name)
    loaded = _load(known, row)
    chosen = ",".join(f"{key}={value}" for key, value in arguments(known, args_text).items()
                      if key not in one_call.FLAGS)
    return f"{loaded.__module__}.{loaded.__qualname__}" + (f"({chosen})" if chosen else "")


def switches_weights(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimiser trains other weights than those to be used (schedule-free ones)."""
    return all(inspect.ismethod(getattr(optimizer, name, None)) for name in ("train", "eval"))
