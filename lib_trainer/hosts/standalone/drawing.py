"""Draws pictures: a request in, pictures with infotext out. Page, previews and command line all come through here.

The caller holds the host's lock. Nothing is left on the model: LoRAs are attached for one request and taken off on
every way out, and all noise comes from generators of the pictures' own seeds.
"""
from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from lib_trainer import noise_table
from lib_trainer.blocks import recorded, tags, windows
from lib_trainer.blocks.resolve import Weights
from lib_trainer.errors import Problems, UserError
from lib_trainer.host_model import Conditioning, Picture
from lib_trainer.hosts.standalone import samplers
from lib_trainer.hosts.standalone.denoise import Prompts, denoise
from lib_trainer.hosts.standalone.infotext import infotext
from lib_trainer.hosts.standalone.loaded import LoadedModel
from lib_trainer.hosts.standalone.loras import Applied, Live, LoraShelf, Meanings
from lib_trainer.hosts.standalone.placement import TEXT, UNET
from lib_trainer.hosts.standalone.prompt import encode_negative, encode_prompt
from lib_trainer.txt2img_host import DrawProgress, GenerateRequest

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SEED = 2**32 - 1
"""Greatest random seed, the WebUI's range."""


@dataclass(frozen=True)
class Watch:
    """Who follows a generation: `progress` is told after every step, `interrupt` says whether to stop."""

    progress: Callable[[DrawProgress], None] | None = None
    interrupt: Callable[[], bool] | None = None


def complete(request: GenerateRequest, model: LoadedModel) -> GenerateRequest:
    """Returns the request with automatic values filled in: size, seed, sampler.

    Raises:
        Problems: all faults of the request.
    """
    native = model.checkpoint.resolution
    width, height = request.width or native, request.height or native
    faults = [f"{label} must be a multiple of 8 from 64 to 4096 pixels, got {size}."
              for label, size in (("Width", width), ("Height", height)) if size % 8 or not 64 <= size <= 4096]
    for label, value, low, high in (
        ("Steps", request.steps, 1, 150), ("CFG scale", request.cfg, 1, 30), ("Batch size", request.batch_size, 1, 64),
        ("Batch count", request.batch_count, 1, 100), ("Clip skip", request.clip_skip, 1, model.text.layers),
        ("Seed", request.seed, -1, 2**53),
    ):
        if not low <= value <= high:
            faults.append(f"{label} must be {low} to {high}, got {value}.")
    sampler = request.sampler
    try:
        sampler = samplers.resolve(request.sampler)
    except UserError as error:
        faults.append(str(error))
    if faults:
        raise Problems(faults)
    seed = secrets.randbelow(MAX_SEED) if request.seed == -1 else request.seed
    return replace(request, width=width, height=height, seed=seed, sampler=sampler)


def draw(
    request: GenerateRequest, model: LoadedModel, model_hash: str, shelf: LoraShelf, meanings: Meanings, watch: Watch,
    live: Live | None,
) -> Generator[Picture, None, None]:
    """Yields the pictures of a request, batch by batch; ends early when interrupted.

    Args:
        request: completed by `complete`.
        model_hash: first 10 digits of the file's SHA-256, "" when unknown.
        live: the adapters in training, for prompts that name them; None where there are none to attach.
    """
    negative, ignored = tags.split(request.negative)
    useless = [f"'{tag.text}' in the negative prompt does nothing: write it in the prompt." for tag in ignored]
    for batch in range(request.batch_count):
        first = request.seed + batch * request.batch_size
        seeds = range(first, first + request.batch_size)
        with shelf.applied(request.prompt, model, meanings, first, live) as applied:
            latents = _sample(replace(request, negative=negative), applied, model, seeds, batch, watch)
        if latents is None:
            return
        told = [*applied.comments, *useless, *_idle(applied.weights, request.steps)]
        for seed, row in zip(seeds, latents, strict=True):
            image, comments = _decode(model, row)
            text = _describe(request, model, model_hash, applied, seed)
            yield Picture(image=image, infotext=text, comments=[*told, *comments])


def _idle(loras: Sequence[Weights], steps: int) -> list[str]:
    sentences = (windows.idle(weights.name, weights.window, steps) for weights in loras)
    return [sentence for sentence in sentences if sentence]


@torch.no_grad()
def _sample(
    request: GenerateRequest, applied: Applied, model: LoadedModel, seeds: range, batch: int, watch: Watch
) -> torch.Tensor | None:
    """Returns the latents (B, 4, h, w) of one batch, None when interrupted; the negative prompt carries no tags."""
    table = noise_table.chosen(model.alphas_cumprod, request.zero_terminal_snr, noise_table.LEAST)
    scheduler = samplers.make(request.sampler, table, request.prediction or model.checkpoint.prediction)
    encoded: dict[Hashable, Prompts] = {}

    def prompts_at(step: int) -> Prompts:
        state = applied.acting.begin(step)
        if state not in encoded:
            encoded[state] = _encode(request, applied.text, model)
        return encoded[state]

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        model.placement.bring(UNET)
        return model.predict(noisy, timesteps, cond)

    def on_step(done: int, total: int) -> bool:
        if watch.progress:
            watch.progress(DrawProgress(step=batch * total + done, steps=request.batch_count * total))
        return not (watch.interrupt and watch.interrupt())

    return denoise(
        predict, scheduler, prompts_at, [torch.Generator().manual_seed(seed) for seed in seeds],
        shape=(request.height // 8, request.width // 8), steps=request.steps, cfg=request.cfg, device=model.device,
        on_step=on_step,
    )


def _encode(request: GenerateRequest, prompt: str, model: LoadedModel) -> Prompts:
    """Returns what the U-Net is told; where it knows sizes, that the picture is whole and of its own size."""
    model.placement.bring(TEXT)
    size = (request.height, request.width)
    sizes = torch.tensor([[*size, 0, 0, *size]], dtype=torch.float32)
    told = (encode_prompt(model.text, prompt, request.clip_skip),
            encode_negative(model.text, request.negative, request.clip_skip))
    positive, negative = (replace(part, sizes=sizes) for part in told)
    return positive, negative


def _decode(model: LoadedModel, latents: torch.Tensor) -> tuple[Image, list[str]]:
    """Returns the picture of latents (4, h, w) and what is wrong with it; one at a time, so batches do not matter."""
    from PIL import Image as images

    pixels = model.decode(latents)
    faults = [] if bool(pixels.isfinite().all()) else [
        "Some numbers of the picture are not finite and were drawn black. Lower the LoRA's strength or the CFG scale."]
    bytes_ = (pixels.nan_to_num(-1.0).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return images.fromarray(bytes_.permute(1, 2, 0).cpu().numpy()), faults


def _describe(request: GenerateRequest, model: LoadedModel, model_hash: str, applied: Applied, seed: int) -> str:
    hashes = ", ".join(f"{name}: {digest}" for name, digest in applied.hashes.items() if digest)
    return infotext(request.prompt, request.negative, {
        "Steps": request.steps,
        "Sampler": request.sampler,
        "CFG scale": f"{request.cfg:g}",
        "Seed": seed,
        "Size": f"{request.width}x{request.height}",
        "Model hash": model_hash or None,
        "Model": (model.checkpoint.path.stem if model.checkpoint.path else model.checkpoint.name),
        "Clip skip": request.clip_skip if request.clip_skip > 1 else None,
        "Lora hashes": hashes or None,
        **recorded.fields(applied.weights),
        "Version": "Train LoRA embedded host",
    })
