"""The fields of the ranks that a result gets, which merging, resizing and extracting ask for alike."""
from __future__ import annotations

from lib_trainer.errors import Problems
from lib_trainer.workbench.forms.form import Field, Values
from lib_trainer.workbench.forms.words import Words
from lib_trainer.workbench.reduction import CUMULATIVE, EXACT, FROBENIUS, KINDS, SV_RATIO, SVD, Called, Reduction

_MOST_RANK = 4096

KIND = Field(
    "reduction", "choice", "Ranks", "Exact: the ranks add up and nothing is lost. SVD: the best approximation of the "
    "rank below; the result tells how much of each block it keeps.", default=EXACT,
    choices=dict(zip(KINDS, ("Exact (ranks add up)", "SVD (to the rank below)"), strict=True)),
    cli="exact: ranks add up, and nothing is lost; svd: the best approximation of --rank, or of a rank that --dynamic "
    "finds out.")


def fields(only_svd: bool, without_conv_rank: str = "as the rank") -> tuple[Field, ...]:
    """Returns the fields of an SVD's ranks.

    Args:
        only_svd: whether they stand beside `KIND` and count for one of its choices alone.
        without_conv_rank: what an empty convolution rank means.
    """
    only = (KIND.name, (SVD,)) if only_svd else None
    beside = f", with --{KIND.name} {SVD}" if only_svd else ""
    return (
        Field("rank", "whole", "Rank", "Of Linear and 1x1 layers, at most; empty = no bound, for a dynamic rank only.",
              least=1, most=_MOST_RANK, only=only,
              cli=f"Greatest rank of Linear and 1x1 layers{beside}; needed unless --dynamic finds one out."),
        Field("conv_rank", "whole", "Convolution rank", f"Of 3x3 convolutions, at most; empty = {without_conv_rank}.",
              least=1, most=_MOST_RANK, only=only,
              cli=f"Greatest rank of 3x3 convolutions{beside}; not given: {without_conv_rank}."),
        Field("dynamic", "choice", "Dynamic rank", "Each layer gets the rank that it needs: of the singular values "
              "those above the greatest one divided by the threshold, or the fewest that keep the given part of their "
              "sum or of their norm.", default="fixed", only=only, fold="Dynamic rank",
              choices={"fixed": "Off: the rank is fixed", SV_RATIO: "sv_ratio",
                       CUMULATIVE: "cumulative (part of the sum)", FROBENIUS: "frobenius (part of the norm)"},
              cli="Finds each layer's rank out of its singular values, with --threshold X: sv_ratio keeps those above "
              "the greatest divided by X, cumulative and frobenius the fewest that keep the part X of their sum or of "
              "their norm. --rank and --conv-rank bound it."),
        Field("threshold", "number", "Threshold", "Above 1 for sv_ratio, such as 20; above 0 and at most 1 for the "
              "others, such as 0.95.", fold="Dynamic rank", only=("dynamic", (SV_RATIO, CUMULATIVE, FROBENIUS)),
              cli="X of --dynamic: above 1 for sv_ratio, such as 20; above 0 and at most 1 for the others, such as "
              "0.95."),
    )


def reduction(values: Values, words: Words) -> Reduction:
    """Returns what the fields say.

    Args:
        values: read ones. words: of the face, for the faults.

    Raises:
        Problems: what contradicts itself, all together.
    """
    dynamic = "" if values["dynamic"] == "fixed" else values["dynamic"]
    found = Reduction(values.get(KIND.name, SVD), values["rank"], values["conv_rank"], dynamic, values["threshold"])
    asked = (words.field(field) for field in fields(only_svd=False))
    if faults := found.faults(Called(*(words.choice(KIND, kind) for kind in KINDS), *asked)):
        raise Problems(faults)
    return found
