"""Stage `text`: teaches the text encoder to make every tag readable, before the U-Net ever sees it.

Trained together from scratch, a U-Net learns to ignore a text encoder that says nothing yet. So the encoder goes
first: linear probes have to read every attribute from its output at every place where the tag has been said already,
the end and padding places included. Then it is frozen.

It sees words only, and every combination of them, the pairs withheld from the pictures too (the U-Net and the
autoencoder meet those neither as pictures nor as captions). An encoder that never heard two words together folds them
onto the same direction: `blonde hair, night` then came out as blue hair on pink, whatever the U-Net had learned.

The rows of the vocabulary that no tag uses are never trained. They are put together from four short code words each,
taken from small tables: all differ (an unknown word can become a trigger word), yet the file compresses well. The
last normalisation keeps a weight of one and a bias of a quarter, so the mean of the output is never near zero: hosts
divide by it when they weigh words.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextModel

from lib_trainer.demo import scenes
from tools.demo import progress
from tools.demo.captions import ATTRIBUTES, CaptionBatch, CaptionMaker
from tools.demo.models import build_text, build_tokenizer
from tools.demo.settings import TEXT

_MEAN = 0.25
_TABLE = 16
_SPREAD = 0.3


def code_rows(count: int, width: int, seed: int) -> torch.Tensor:
    """Rows that all differ, each made of four code words: (count, width).

    Args:
        count: How many, at most 16 ** 4.
        width: Divisible by four.
    """
    generator = torch.Generator().manual_seed(seed)
    tables = torch.randn(4, _TABLE, width // 4, generator=generator) * _SPREAD
    numbers = torch.randperm(_TABLE**4, generator=generator)[:count]
    return torch.cat([tables[part][numbers // _TABLE**part % _TABLE] for part in range(4)], dim=1)


def prepare(model: CLIPTextModel, used: list[int]) -> None:
    """Set the vocabulary and the last normalisation, and let only the rows of used tokens learn."""
    text = model.text_model
    with torch.no_grad():
        rows = text.embeddings.token_embedding.weight
        rows.copy_(code_rows(len(rows), rows.shape[1], TEXT.seed))
        text.embeddings.position_embedding.weight.normal_(0, 0.1)
        text.final_layer_norm.weight.fill_(1.0)
        text.final_layer_norm.bias.fill_(_MEAN)
    text.final_layer_norm.requires_grad_(False)
    mask = torch.zeros(len(rows), 1)
    mask[used] = 1.0
    rows.register_hook(lambda gradient: gradient * mask)


def any_scene(rng: np.random.Generator) -> scenes.Scene:
    """What a caption may speak of: every hair with every background, for only words are seen here."""
    return scenes.Scene.random_withheld(rng) if rng.random() < 0.3 else scenes.Scene.random(rng)


class Probes(nn.Module):
    """Linear readers of every attribute, and of the sum of the odd words."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.ModuleList(nn.Linear(TEXT.width, 1 + len(scenes.BASE_VALUES[name])) for name in ATTRIBUTES)
        self.odd = nn.Linear(TEXT.width, TEXT.width)

    def forward(self, states: torch.Tensor, batch: CaptionBatch, rows: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Loss, and the share of attributes read rightly at the last place.

        Args:
            states: Output of the text encoder (B, 77, width).
            batch: The captions.
            rows: The vocabulary (49408, width).
        """
        loss, right = states.new_zeros(()), 0.0
        for number, probe in enumerate(self.read):
            guess, truth = probe(states), batch.known[..., number]
            loss = loss + functional.cross_entropy(guess.flatten(0, 1), truth.flatten())
            right += (guess[:, -1].argmax(-1) == truth[:, -1]).float().mean().item()
        said = (rows.detach()[batch.odd.clamp_min(0)] * (batch.odd >= 0)[..., None]).sum(1) / _SPREAD
        trace = functional.mse_loss(self.odd(states[:, -40:]), said[:, None].expand(-1, 40, -1))
        return loss + trace, right / len(self.read)


def train(work: Path, steps: int) -> None:
    """Train the text encoder; resumes from the work folder."""
    torch.manual_seed(TEXT.seed)
    maker = CaptionMaker(build_tokenizer(), drop=0.15, empty=0.02, odd=0.3)
    model, probes = build_text(), Probes()
    prepare(model, maker.used)
    trained = [p for p in [*model.parameters(), *probes.parameters()] if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=TEXT.rate, betas=(0.9, 0.98), weight_decay=0.0)
    first, state = 0, progress.load(work / "text.pt")
    if state:
        model.load_state_dict(state["model"])
        probes.load_state_dict(state["probes"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    rows = model.text_model.embeddings.token_embedding.weight
    report = progress.Report("text", 50)
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = progress.decayed_rate(step, steps, TEXT.rate, 100)
        rng = np.random.default_rng([TEXT.seed, step])
        batch = maker.batch([any_scene(rng) for _ in range(TEXT.batch)], rng)
        loss, right = probes(model(batch.tokens).last_hidden_state, batch, rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        report.add(step, loss=loss.item(), read=right)
        if (step + 1) % 250 == 0 or step + 1 == steps:
            parts = {"model": model, "probes": probes, "optimizer": optimizer}
            progress.save(work / "text.pt", {k: v.state_dict() for k, v in parts.items()} | {"step": step + 1})
