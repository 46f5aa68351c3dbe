"""What is trained: kind and size of the network, its layers and blocks."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True)
class NetworkSettings:
    """What is trained: kind and size of the network, its layers and blocks."""

    rank: int = setting(16, "Rank (dim)", "Size of the LoRA. Characters 4-16, styles 16-64.", "Network", "network_dim",
        minimum=1, maximum=8192)
    alpha: float = setting(8.0, "Alpha", "Strength scale: the LoRA acts times alpha/rank. Half the rank is common; 1 "
        "with a big rank learns slowly.", "Network", "network_alpha", minimum=1e-06)
    conv_rank: int = setting(0, "Conv rank", "0 = plain LoRA (LierLa). Above 0 adds the 3x3 convolutions "
        "(C3Lier/LoCon): more detail, overfits sooner.", "Network", "conv_dim", minimum=0, maximum=8192)
    conv_alpha: float = setting(1.0, "Conv alpha", "Alpha of the convolutions.", "Network", minimum=1e-06)
    continue_from: str = setting("", "Continue from LoRA", "A LoRA file (or its name) whose weights to start from. "
        "Rank and alpha are taken from the file.", "Network", "network_weights", path=True)
    train_unet: bool = setting(True, "Train U-Net", "Off = only the text encoder learns.", "Network")
    train_text_encoder: bool = setting(True, "Train text encoder", "Off = only the U-Net learns (faster; usual for "
        "styles).", "Network")
    blocks: str = setting("", "Blocks", "U-Net blocks to train, 17-block names and ranges: IN04-IN07, OUT03-OUT06. "
        "Empty = all. Fewer blocks = smaller file, faster steps. BASE is governed by 'Train text encoder'.", "Blocks")
