"""What only the host's process can see of its model: addresses, bytes, flags, hooks; and the random generators."""
from __future__ import annotations

import hashlib
import random
from typing import Any

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def networks() -> dict[str, Any]:
    """The networks of the loaded checkpoint by name; empty while none is loaded."""
    from modules import sd_models

    loaded = sd_models.model_data.sd_model
    if loaded is None or type(loaded).__name__ == "FakeInitialModel":
        return {}
    objects = getattr(loaded, "forge_objects", None)
    if objects is None:
        return {"model": loaded}
    return {
        "unet": objects.unet.model.diffusion_model,
        "clip": objects.clip.cond_stage_model,
        "vae": objects.vae.first_stage_model,
    }


def tensors(bytes_too: bool) -> dict[str, dict[str, Any]]:
    """Every parameter and buffer: address of its storage, flags, and a digest of its bytes when asked for."""
    import torch

    found: dict[str, dict[str, Any]] = {}
    for part, network in networks().items():
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            entry: dict[str, Any] = {
                "address": tensor.data_ptr(), "dtype": str(tensor.dtype), "device": str(tensor.device),
                "requires_grad": tensor.requires_grad, "grad": tensor.grad is not None if tensor.is_leaf else False,
                "inference": tensor.is_inference(),
            }
            if bytes_too:
                flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                entry["digest"] = hashlib.blake2b(flat.numpy(), digest_size=16).hexdigest()
            found[f"{part}.{name}"] = entry
    return found


def modules() -> dict[str, dict[str, Any]]:
    """Every module: its mode, its hooks, and the methods that were put on the instance itself."""
    found: dict[str, dict[str, Any]] = {}
    for part, network in networks().items():
        for name, module in network.named_modules():
            own = sorted(key for key, value in vars(module).items() if not key.startswith("_") and callable(value))
            found[f"{part}.{name}"] = {
                "training": module.training, "hooks": sum(len(getattr(module, kind)) for kind in HOOKS), "own": own,
            }
    return found


def generators() -> dict[str, str]:
    """Digests of the process-wide random generators."""
    import numpy
    import torch

    states = {"python": repr(random.getstate()).encode(), "numpy": repr(numpy.random.get_state()[1].tobytes()).encode(),
              "torch": torch.random.get_rng_state().numpy().tobytes()}
    return {name: hashlib.sha256(state).hexdigest() for name, state in states.items()}
