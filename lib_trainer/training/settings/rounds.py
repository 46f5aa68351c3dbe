"""Training in rounds, each merged into the checkpoint before the next (ReLoRA): how many, which rates, what is kept."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting

ROUNDS = "Rounds"
"""The part of the fold "Method" that is for rounds."""

BOTH, LORA, CHECKPOINT = "both", "lora", "checkpoint"
RESULTS = (BOTH, LORA, CHECKPOINT)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class RoundSettings:
    """Rounds of training and merging."""

    rounds: int = setting(3, "Rounds", "How often it is trained and merged. Epochs, steps, warm-up and schedule are "
        "those of one round; each begins with fresh weights and a fresh optimiser.", "Method", minimum=2, maximum=1000,
        part=ROUNDS)
    round_rate: str = setting("0.5", "Rate by round", "What the learning rates are multiplied with from round to "
        "round: 0.5 = half of the round before. Or the factor of every round, such as 1, 0.5, 0.1.", "Method",
        part=ROUNDS)
    round_result: str = setting(BOTH, "Result", "lora = one LoRA that is all rounds together. checkpoint = the "
        "checkpoint with all rounds merged, among your checkpoints. The checkpoint you train on is never changed.",
        "Method", choices=RESULTS, part=ROUNDS)
    round_rank: int = setting(0, "Rank of the LoRA", "0 = exact: the ranks of the rounds add up. Above 0 the closest "
        "LoRA of this rank, a smaller file.", "Method", minimum=0, maximum=10000, part=ROUNDS)
