"""Precision, memory, caches and speed."""
from __future__ import annotations

from lib_trainer.training.interchange.option import joined, needless, same, unsupported

_ATTENTION = ("Attention is computed as the host does it, with the same result; on the embedded host `attention` "
              "chooses.")

OPTIONS = (
    same("mixed_precision", "text", "no", "precision", words={"no": "fp32"}),
    joined("full_fp16", "flag", False, "adapter_precision"),
    joined("full_bf16", "flag", False, "adapter_precision"),
    joined("fp8_base", "flag", False, "base_precision"),
    joined("fp8_base_unet", "flag", False, "base_precision"),
    same("gradient_checkpointing", "flag", False),
    same("cache_latents", "flag", False),
    same("cache_latents_to_disk", "flag", False, "cache_to_disk"),
    joined("cache_text_encoder_outputs", "flag", False, "cache_captions"),
    joined("cache_text_encoder_outputs_to_disk", "flag", False, "cache_captions", "cache_captions_to_disk"),
    same("vae_batch_size", "int", 1),
    needless("xformers", "flag", False, _ATTENTION),
    needless("sdpa", "flag", False, _ATTENTION),
    needless("mem_eff_attn", "flag", False, _ATTENTION),
    same("torch_compile", "flag", False, "compile"),
    unsupported("dynamo_backend", "text", "inductor", "Compiling always uses PyTorch's own backend, inductor."),
    needless("no_half_vae", "flag", False, "Pictures are encoded as the host does it; numbers that are not finite stop "
             "the run with a sentence."),
    needless("lowram", "flag", False, "The model is borrowed from the host, so it is not loaded a second time."),
    needless("highvram", "flag", False, "No memory is given back between two steps anyway."),
    needless("disable_mmap_load_safetensors", "flag", False, "The model is borrowed from the host, which loaded it."),
    unsupported("cpu_offload_checkpointing", "flag", False, "Use gradient_checkpointing alone, or `offload`."),
    needless("v2", "flag", False, "The family is read from the checkpoint itself."),
    same("pretrained_model_name_or_path", "path", None, "base_model", off=""),
    unsupported("vae", "path", None, "The VAE of the checkpoint is used (in a WebUI the one that is chosen there)."),
)
