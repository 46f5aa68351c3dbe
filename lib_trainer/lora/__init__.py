"""LoRA as mathematics and as files: layers, network, safetensors, metadata."""
