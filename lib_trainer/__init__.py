"""Train LoRAs inside the Stable Diffusion WebUI that is already running and apply them per block.

The package is host-neutral: `bootstrap` finds the host (AUTOMATIC1111, Forge or the embedded one) and wires the rest.
"""
