"""The fields of the ranks that a result gets, which merging, resizing and extracting ask for alike."""
from __future__ import annotations

from lib_trainer.workbench.forms.form import Field, Values
from lib_trainer.workbench.reduction import CUMULATIVE, EXACT, FROBENIUS, KINDS, SV_RATIO, SVD, Reduction

_MOST_RANK = 4096

KIND = Field(
    "reduction", "choice", "Ranks", "Exact: the ranks add up and nothing is lost. SVD: the best approximation of the "
    "rank below; the result tells how much of each block it keeps.", default=EXACT,
    choices=dict(zip(KINDS, ("Exact (ranks add up)", "SVD (to the rank below)"), strict=True)))


def fields(only_svd: bool, without_conv_rank: str = "as the rank") -> tuple[Field, ...]:
    """Returns the fields of an SVD's ranks.

    Args:
        only_svd: whether they stand beside `KIND` and count for one of its choices alone.
        without_conv_rank: what an empty convolution rank means.
    """
    only = (KIND.name, (SVD,)) if only_svd else None
    return (
        Field("rank", "whole", "Rank", "Of Linear and 1x1 layers, at most; empty = no bound, for a dynamic rank only.",
              least=1, most=_MOST_RANK, only=only),
        Field("conv_rank", "whole", "Convolution rank", f"Of 3x3 convolutions, at most; empty = {without_conv_rank}.",
              least=1, most=_MOST_RANK, only=only),
        Field("dynamic", "choice", "Dynamic rank", "Each layer gets the rank that it needs: of the singular values "
              "those above the greatest one divided by the threshold, or the fewest that keep the given part of their "
              "sum or of their norm.", default="fixed", only=only, fold="Dynamic rank",
              choices={"fixed": "Off: the rank is fixed", SV_RATIO: "sv_ratio",
                       CUMULATIVE: "cumulative (part of the sum)", FROBENIUS: "frobenius (part of the norm)"}),
        Field("threshold", "number", "Threshold", "Above 1 for sv_ratio, such as 20; above 0 and at most 1 for the "
              "others, such as 0.95.", fold="Dynamic rank", only=("dynamic", (SV_RATIO, CUMULATIVE, FROBENIUS))),
    )


def reduction(values: Values) -> Reduction:
    """Returns what the fields say.

    Raises:
        Problems: what contradicts itself, all together.
    """
    dynamic = "" if values["dynamic"] == "fixed" else values["dynamic"]
    found = Reduction(values.get(KIND.name, SVD), values["rank"], values["conv_rank"], dynamic, values["threshold"])
    found.check()
    return found
