"""Why a loss is no number: found by looking, at the moment it happens, and said in a sentence with the remedy.

The parts are looked at in the order in which they feed each other: the adapters, the latents, the text states, what the
model says with and without the adapters. The first that is not finite is the cause.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lib_trainer.data.sample import Sample
from lib_trainer.errors import UserError
from lib_trainer.host_model import HostModel
from lib_trainer.training.micro_batch import Drawn, Inputs
from lib_trainer.training.run import Run
from lib_trainer.training.statistics.told import Report, Told

_NAMED = 3
"""Pictures that are named at most."""


@dataclass(frozen=True)
class Failure:
    """An update whose loss is no number.

    Attributes:
        told: its micro-batches. report: the losses of its samples.
        rates: learning rate by parameter group.
    """

    told: Told
    report: Report
    rates: Mapping[str, float]


def explain(run: Run, inputs: Inputs, model: HostModel, failure: Failure) -> str:
    """Returns why the loss of an update is no number, what to do, and what is safe.

    Call it in the turn in which it happened.
    """
    if failure.report.is_finite:
        return f"The loss is no number at step {run.step + 1} in another process, which says why."
    cause = _adapters(run, failure.rates)
    bad = iter(failure.report.weighted)
    for drawn in failure.told.drawn:
        finite = torch.isfinite(torch.tensor([next(bad) for _ in drawn.samples]))
        if not cause and not bool(finite.all()):
            cause = _batch(run, inputs, model, drawn, failure.rates, ~finite)
    cause = cause or "An error was so large that its square is no number: choose fp32 or bf16 as precision."
    return f"The loss is no number at step {run.step + 1}. {cause} {_safe(run)}"


def _adapters(run: Run, rates: Mapping[str, float]) -> str:
    if all_finite(factor for layer in run.network.layers.values() for factor in layer.parameters()):
        return ""
    return (f"The LoRA's own weights are no numbers any more, since the update before: the learning rate "
            f"({_shown(rates)}) is too high; start again with a tenth of it.{_half(run)}")


def _batch(
    run: Run, inputs: Inputs, model: HostModel, drawn: Drawn, rates: Mapping[str, float], bad: Tensor
) -> str:
    """Looks at a micro-batch whose samples `bad` (B,) have no number as loss."""
    samples = [sample for sample, is_bad in zip(drawn.samples, bad.tolist(), strict=True) if is_bad]
    if not all_finite(one for latents in drawn.loaded.latents if latents for one in (latents.mean, latents.std)):
        return (f"The cached latents of {_named(samples)} hold values that are no numbers: delete the folder of cached "
                "latents, and encode with the VAE in full precision (--no-half-vae).")
    states = drawn.loaded.states
    if states is not None and not all_finite([states.hidden]):
        return (f"The text states of {_named(samples)} hold values that are no numbers: the text encoder overflows; "
                "choose bf16 or fp32 as precision.")
    if not bool(torch.isfinite(_said(run, inputs, model, drawn, silent=True)).all()):
        return (f"The base model itself gives no number for {_named(samples)} without the LoRA: it overflows"
                f"{' in fp16' if run.precision == 'fp16' else ''}; choose bf16 or fp32 as precision, and another "
                "checkpoint if that does not help.")
    if not bool(torch.isfinite(_said(run, inputs, model, drawn, silent=False)).all()):
        return (f"With the LoRA the model gives no number for {_named(samples)}, without it does: what was learned is "
                f"too strong, so the learning rate ({_shown(rates)}) is too high; start again with a tenth of it."
                f"{_half(run)}")
    return ""


def _said(run: Run, inputs: Inputs, model: HostModel, drawn: Drawn, silent: bool) -> Tensor:
    with run.network.silent() if silent else nullcontext():
        return inputs.objective.said(run.config, inputs, model, drawn)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers are finite; waits for the device once per tensor until one is not."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def check_adapters(run: Run) -> None:
    """Checks the adapters before their state replaces an older one.

    Raises:
        UserError: they hold values that are no numbers.
    """
    if not all_finite(factor for layer in run.network.layers.values() for factor in layer.parameters()):
        raise UserError(f"No state is written at step {run.step}: the LoRA's weights are no numbers any more, so it is "
                        "broken. The learning rate was too high; states written before are whole.")


def check_file(name: str, tensors: Mapping[str, Tensor]) -> None:
    """Checks a LoRA before it replaces anything on the disk.

    Raises:
        UserError: a tensor holds values that are no numbers.
    """
    broken = [key for key, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise UserError(
            f"{name} is not saved: {len(broken)} of its {len(tensors)} tensors, such as {broken[0]}, hold values that "
            "are no numbers, so the LoRA is broken. The learning rate was too high, or the file's precision too low "
            "(fp16 ends at 65,504); files saved before are whole.")


def _named(samples: Sequence[Sample]) -> str:
    paths = list(dict.fromkeys(sample.item.shown for sample in samples))
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _shown(rates: Mapping[str, float]) -> str:
    return ", ".join(f"{part} {rate:g}" for part, rate in rates.items())


def _half(run: Run) -> str:
    return " fp16 overflows easily: choose bf16 or fp32." if run.precision == "fp16" else ""


def _safe(run: Run) -> str:
    # Names are put down before a file is written, so one whose writing failed is not there.
    saved = [Path(path).stem for path in run.record.files if Path(path).is_file()]
    return f"The last file that was saved, {saved[-1]}, is whole." if saved else "No file was saved before."
