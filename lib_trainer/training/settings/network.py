"""What is trained: kind and size of the network, its layers and blocks."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.lora.adapters.facts import FACTS, LAYER_SETS
from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class NetworkSettings:
    """What is trained: kind and size of the network, its layers and blocks."""

    algorithm: str = setting("lora", "Kind of network", "LoRA is the one that every program reads. LoHa, LoKr, (IA)^3, "
        "OFT, BOFT, GLoRA and full differences are LyCORIS' kinds; LoRA-FA and DyLoRA are saved as ordinary LoRA.",
        "Network", choices=tuple(FACTS))
    rank: int = setting(16, "Rank (dim)", "Size of the LoRA. Characters 4-16, styles 16-64.", "Network", "network_dim",
        minimum=1, maximum=8192)
    alpha: float = setting(8.0, "Alpha", "Strength scale: the LoRA acts times alpha/rank. Half the rank is common; 1 "
        "with a big rank learns slowly.", "Network", "network_alpha", minimum=1e-06)
    conv_rank: int = setting(0, "Conv rank", "0 = plain LoRA (LierLa). Above 0 adds the 3x3 convolutions "
        "(C3Lier/LoCon): more detail, overfits sooner.", "Network", "conv_dim", minimum=0, maximum=8192)
    conv_alpha: float = setting(1.0, "Conv alpha", "Alpha of the convolutions.", "Network", minimum=1e-06)
    layers: str = setting("attn-mlp", "Layers", "attn-mlp = attention and feed-forward, as kohya trains. The others "
        "are LyCORIS' presets; full adds the residual blocks, the first and last layers and the time embedding.",
        "Network", choices=LAYER_SETS)
    continue_from: str = setting("", "Continue from LoRA", "A LoRA file (or its name) whose weights to start from. "
        "Kind, rank and alpha are taken from the file.", "Network", "network_weights", path=True,
        part="Begin with other LoRAs")
    dim_from_weights: bool = setting(True, "Layers and ranks of that file", "Off = the settings say which layers there "
        "are: the file must have their rank, and what it lacks begins new.", "Network", part="Begin with other LoRAs")
    continue_alpha: str = setting("adopt", "Alpha of that file", "adopt = the file's alpha stays. rescale = the LoRA "
        "gets the alpha set here, its weights changed so that it does what it did.", "Network",
        choices=("adopt", "rescale"), part="Begin with other LoRAs")
    base_loras: str = setting("", "LoRAs beneath", "LoRAs that act unchanged while training, such as 'style:0.8, "
        "other': the new one learns what they lack. Use it together with them.", "Network", "base_weights",
        part="Begin with other LoRAs")
    train_unet: bool = setting(True, "Train U-Net", "Off = only the text encoder learns.", "Network")
    train_text_encoder: bool = setting(True, "Train text encoder", "Off = only the U-Net learns (faster; usual for "
        "styles).", "Network")

    network_dropout: float = setting(0.0, "Network dropout", "Part of the thin activation that is left out at random "
        "(0.1 is common). Against overfitting; plain LoRA only.", "Network details", minimum=0.0, maximum=0.99)
    rank_dropout: float = setting(0.0, "Rank dropout", "Part of the ranks that rest, drawn anew for every picture.",
        "Network details", minimum=0.0, maximum=0.99)
    module_dropout: float = setting(0.0, "Module dropout", "Part of the layers that rest in a step.",
        "Network details", minimum=0.0, maximum=0.99)
    scale_weight_norms: float = setting(0.0, "Limit of weight norms", "After every step, layers whose change is longer "
        "than this are shortened to it (1 is common). 0 = off.", "Network details", minimum=0.0)
    rs_lora: bool = setting(False, "rs-LoRA", "Strength alpha / root of rank, so that big ranks learn as fast as small "
        "ones. The stored alpha is converted: every program reads it rightly.", "Network details")
    dora: bool = setting(False, "DoRA", "Trains length and direction of the weights apart. Slower; for LoRA, LoHa and "
        "LoKr.", "Network details", "dora_wd")
    dora_on_output: bool = setting(True, "DoRA lengths per output", "Off = per input, as the first LyCORIS versions "
        "did.", "Network details", "wd_on_output", part="Single kinds of network")
    tucker: bool = setting(False, "Tucker decomposition", "Smaller 3x3 convolutions: a core between two 1x1 layers.",
        "Network details", "use_tucker", part="Single kinds of network")
    use_scalar: bool = setting(False, "Scalar", "One more number per layer, which starts at 0 in place of a factor.",
        "Network details", part="Single kinds of network")
    train_norm: bool = setting(False, "Train norms", "The norms of the trained blocks learn as well (LyCORIS).",
        "Network details", part="Single kinds of network")
    factor: int = setting(-1, "LoKr factor", "Size of LoKr's small matrix; -1 = as square as can be. 8 is common; "
        "smaller = bigger file.", "Network details", minimum=-1, maximum=4096, part="Single kinds of network")
    decompose_both: bool = setting(False, "LoKr: both halves low-rank", "The small matrix of LoKr is cut down, too.",
        "Network details", part="Single kinds of network")
    full_matrix: bool = setting(False, "LoKr: whole matrices", "No half of LoKr is cut down; rank and alpha do "
        "nothing then.", "Network details", part="Single kinds of network")
    unbalanced: bool = setting(False, "LoKr: unbalanced", "LoKr's small matrix has the more outputs.",
        "Network details", "unbalanced_factorization", part="Single kinds of network")
    constraint: float = setting(0.0, "OFT constraint", "Bound of the rotation per output (OFT, BOFT); 0 = none.",
        "Network details", minimum=0.0, part="Single kinds of network")
    rescaled: bool = setting(False, "OFT: trained lengths", "OFT and BOFT learn the length of every output as well.",
        "Network details", part="Single kinds of network")
    dylora_unit: int = setting(1, "DyLoRA unit", "Ranks of DyLoRA that learn together; must divide the rank.",
        "Network details", "unit", minimum=1, maximum=8192, part="Single kinds of network")

    blocks: str = setting("", "Blocks", "U-Net blocks to train, 17-block names and ranges: IN04-IN07, OUT03-OUT06. "
        "Empty = all. Fewer blocks = smaller file, faster steps. BASE is governed by 'Train text encoder'.", "Blocks")
    block_dims: str = setting("", "Rank by block", "Names with numbers (IN04:8, OUT03-OUT06:16, the rest as Rank) or a "
        "list of 12, 17, 20, 26 numbers, or 25 (SDXL: 23) in sd-scripts' order. 0 = not trained.", "Blocks")
    block_alphas: str = setting("", "Alpha by block", "Written like 'Rank by block'.", "Blocks")
    conv_block_dims: str = setting("", "Conv rank by block", "Written like 'Rank by block'.", "Blocks")
    conv_block_alphas: str = setting("", "Conv alpha by block", "Written like 'Rank by block'.", "Blocks")
    block_lrs: str = setting("", "Learning rate by block", "Factors, written like 'Rank by block', or the name of a "
        "preset, or sd-scripts' way: 'down: sine+0.25; mid: 1; up: 1,1,0.5'.", "Blocks")
    block_lr_zero_threshold: float = setting(0.0, "Factors that count as 0", "Blocks whose factor is not above this "
        "are not trained.", "Blocks", minimum=0.0)
