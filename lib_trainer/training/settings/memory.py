"""Precision, memory and caches."""
from __future__ import annotations

from dataclasses import dataclass

from lib_trainer.keeping import ATTENTIONS, STORAGES
from lib_trainer.training.settings.declare import setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class MemorySettings:
    """Precision, memory and caches."""

    precision: str = setting("auto", "Precision", "auto = what the loaded model computes in. The embedded host keeps "
        "the model itself in it for the run.", "Memory", "mixed_precision", choices=("auto", "fp32", "bf16", "fp16"))
    gradient_accumulation: int = setting(1, "Gradient accumulation", "Batches per optimiser step.", "Memory",
        "gradient_accumulation_steps", minimum=1, maximum=100000)
    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", "Much less memory for about a third more "
        "time.", "Memory")
    cache_latents: bool = setting(True, "Cache latents", "Encode every picture once instead of at every use.", "Memory")
    cache_captions: bool = setting(True, "Cache captions", "Encode every distinct caption once (when the text encoder "
        "is not trained).", "Memory", "cache_text_encoder_outputs")
    cache_to_disk: bool = setting(False, "Keep the cache", "Keep cached latents on disk for the "
        "next run, and out of memory.", "Memory",
        "cache_latents_to_disk")
    base_precision: str = setting("auto", "8-bit base", "fp8 = the model's big weights take 8 bits each while it "
        "trains (SDXL's U-Net 2.6 GB instead of 5.1), fp8_unet = those of the U-Net alone. On a WebUI it must be the "
        "WebUI's own option.", "Memory", choices=STORAGES, part="Storage and speed of the model")
    adapter_precision: str = setting("fp32", "LoRA learns in", "fp32 costs little memory. In bf16 or fp16 small "
        "updates are rounded away and hardly anything is learned.", "Memory", choices=("fp32", "bf16", "fp16"),
        part="Storage and speed of the model")
    attention: str = setting("auto", "Attention", "auto = the host's own. The embedded host can be held to one: "
        "torch's (sdpa), only its flash kernels, its plain one (math), or xformers where it is installed.", "Memory",
        choices=ATTENTIONS, part="Storage and speed of the model")
    offload: bool = setting(False, "Offload", "What a phase does not need rests in main memory: the VAE after caching, "
        "the text encoders once captions are cached. Previews take longer.", "Memory",
        part="Storage and speed of the model")
    compile: bool = setting(False, "Compile the U-Net", "torch.compile: the first step takes minutes, all others less. "
        "Embedded host only.", "Memory", "torch_compile", part="Storage and speed of the model")
    cache_captions_to_disk: bool = setting(False, "Keep the caption cache", "Keep encoded captions on disk for the "
        "next run, and out of memory.", "Memory", "cache_text_encoder_outputs_to_disk", part="More for caches")
    cache_variants: int = setting(0, "Cached variants", "With varied colours, random or face crops: that many looks of "
        "every picture are drawn and cached; 0 = every use draws anew and is not cached.", "Memory", minimum=0,
        maximum=1000, part="More for caches")
    vae_batch_size: int = setting(1, "Caching batch", "Pictures encoded at once while caching.", "Memory", minimum=1,
        maximum=4096, part="More for caches")
