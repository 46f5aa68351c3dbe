"""The ports: what a host and its loaded model must offer to be trained on.

A `Host` lends its model through a `Lease`. A lease gives turns: `with lease.turn() as model:` is exclusive use of
clean, trainable weights for one step, one batch of caching or one preview. Leaving a turn restores the host, so a
generation pressed during training waits for one turn at most and draws on clean weights. Nothing here imports a host.

What every lease guarantees (tests/contract runs the same suite over all hosts): the weights are shared, never copied,
and bit-identical afterwards on every way out, and so is the host's next image of the same seed; no LoRA stays merged,
no hook or patch stays behind; `requires_grad`, train mode, device and dtype are as found; the process-wide random
generators are neither read nor advanced.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lib_trainer.keeping import AS_IT_IS, Keeping

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from lib_trainer.blocks.elements import Elements
    from lib_trainer.blocks.presets import Presets
    from lib_trainer.families.family import Family

TRAINING_NAME = "__training__"
"""The LoRA name that stands for the adapters in training, as they are now."""


@dataclass(frozen=True)
class HostPaths:
    """Folders of the host. All exist when the host is ready.

    Attributes:
        loras: where LoRA files are found by name, and saved.
        outputs: where pictures go; a job's folder (previews, log, config) is `outputs/train-lora/<name>`.
        settings: where this extension keeps its settings, block presets and user files.
        cache: where latent and text caches may be written.
        checkpoints: where checkpoints lie and new ones are written; None = the host cannot tell.
    """

    loras: Path
    outputs: Path
    settings: Path
    cache: Path
    checkpoints: Path | None = None


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint that is loaded.

    Attributes:
        name: file name with suffix, as shown to people and written to `ss_sd_model_name`.
        path: the file, or None when the host cannot tell.
        family: its family record.
        resolution: native picture size in pixels (512 for SD 1.x; a narrow model may have its own).
        prediction: "epsilon" or "v".
        zero_terminal_snr: whether its noise schedule ends in pure noise.
    """

    name: str
    path: Path | None
    family: Family
    resolution: int
    prediction: str
    zero_terminal_snr: bool = False


@dataclass(frozen=True)
class Target:
    """A layer that can be adapted.

    Attributes:
        name: kohya layer name, such as "lora_unet_mid_block_attentions_0_proj_in".
        module: the host's layer (Linear-, Conv2d- or norm-like: has `weight`, is called with one tensor).
        rows: of a projection fused into a bigger weight, the output rows that are this layer's; None = all.
    """

    name: str
    module: torch.nn.Module
    rows: slice | None = None


@dataclass(frozen=True)
class Conditioning:
    """What the U-Net is told about a batch of captions.

    Attributes:
        hidden: text states (B, T, C).
        pooled: pooled vector (B, P) where the family has one.
        sizes: (B, 6) float32 in pixels where the family has size ids: original height and width, top and left of the
            crop, height and width of what is trained on.
    """

    hidden: torch.Tensor
    pooled: torch.Tensor | None = None
    sizes: torch.Tensor | None = None


@dataclass(frozen=True)
class PreviewRequest:
    """One picture to draw through the host's own pipeline.

    Attributes:
        prompt: prompt in the host's own grammar (emphasis, LoRA tags).
        seed: seed of the picture, >= 0.
        width: pixels, a multiple of 8; 0 = the checkpoint's own size. `height` likewise.
        sampler: sampler name of the host; "" = the host's default.
        like_txt2img: take everything but seed and prompt from the last picture of the host's txt2img tab (hires fix,
            styles, scripts included), whose prompt stands for an empty one. Hosts without such a tab ignore it.
        explicit: names of fields that are not taken from there all the same.
        prediction: "epsilon" or "v", "" = as the checkpoint says. `zero_terminal_snr`: likewise "on", "off" or "auto".
    """

    prompt: str
    negative: str = ""
    seed: int = 1
    steps: int = 20
    cfg: float = 7.0
    width: int = 0
    height: int = 0
    sampler: str = ""
    clip_skip: int = 1
    like_txt2img: bool = False
    explicit: frozenset[str] = frozenset()
    prediction: str = ""
    zero_terminal_snr: str = "auto"


@dataclass(frozen=True)
class Picture:
    """A drawn picture, its infotext, what the person must be told, and where the host saved it (not so of previews)."""

    image: Image
    infotext: str
    comments: list[str] = field(default_factory=list)
    file: Path | None = None


class HostModel(Protocol):
    """The leased model, valid inside a turn only."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def compute_dtype(self) -> torch.dtype:
        """The dtype in which the host runs its U-Net (its storage dtype unless it casts)."""

    @property
    def alphas_cumprod(self) -> torch.Tensor:
        """The noise schedule of this checkpoint: (1000,) float32, descending in (0, 1)."""

    def targets(self) -> list[Target]:
        """Every layer that may be trained on (attention, text encoder, convolutions), in model order."""

    def other_targets(self) -> list[Target]:
        """Layers that no training adapts but a LoRA may change: norms, the time embedding, the first and last."""

    def encode_images(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns mean and standard deviation (B, 4, h, w) float32 of the VAE posterior, unscaled; NaN = overflow.

        `pixels`: (B, 3, H, W) float32 in [-1, 1]; H and W multiples of 8.
        """

    def encode_captions(
        self, captions: Sequence[str], clip_skip: int = 1, chunks: int = 1, grad: bool = False, weighted: bool = False
    ) -> Conditioning:
        """Encodes captions taken literally: parentheses, BREAK, AND, embedding names mean nothing.

        Args:
            captions: B captions.
            clip_skip: 1 = last layer, 2 = the one before, ...; final LayerNorm applied.
            chunks: 1, 2 or 3 pieces of 75 tokens (kohya's max_token_length 75, 150, 225): states (B, 75*chunks+2, C).
            grad: whether gradients must flow into the encoder's adapters.
            weighted: whether `(word:1.3)`, `(word)`, `[word]` multiply the states of their tokens; all else is literal.
        """

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, cond: Conditioning) -> torch.Tensor:
        """Runs the U-Net: noisy (B, 4, h, w) scaled latents, timesteps (B,) int64 -> (B, 4, h, w)."""

    def checkpointing(self) -> AbstractContextManager[None]:
        """While open, U-Net and text encoder recompute activations in backward (non-reentrant) to save memory."""

    def preview(self, request: PreviewRequest) -> Picture:
        """Draws through the host's own pipeline inside this turn, with whatever adapters are attached now."""


class LiveNetwork(Protocol):
    """The adapters in training, for prompts that name `TRAINING_NAME`."""

    @property
    def layers(self) -> Mapping[str, object]:
        """The adapted layers by kohya layer name."""

    @property
    def is_attached(self) -> bool:
        """Whether it acts on a model now, as during a preview inside a turn."""

    def attached(
        self, targets: Sequence[Target], multipliers: Mapping[str, float] | None = None
    ) -> AbstractContextManager[object]:
        """While open, acts on the targets with a multiplier per layer; raises RuntimeError when attached already."""

    def set_multipliers(self, multipliers: Mapping[str, float] | None = None) -> None:
        """Sets every layer's multiplier, at once and while attached; a layer that is not named gets 1."""


class JobDisplay(Protocol):
    """How a host shows a training among its own jobs, and passes its Interrupt button on."""

    def show(self, done: int, total: int, text: str) -> None:
        """Says how far the training is; takes effect at once or at the next turn."""

    def stop_asked(self) -> bool:
        """Returns whether the person pressed the host's own Interrupt for this job since the last call."""


class Lease(Protocol):
    """The right to train on the host's model, turn by turn."""

    def turn(self) -> AbstractContextManager[HostModel]:
        """Exclusive use of clean, trainable weights.

        Raises:
            ModelChanged: the host's model is not the one that was leased.
        """

    def close(self) -> None:
        """Gives the lease back; a further turn raises."""


class Host(Protocol):
    """A program that has a diffusion model loaded and draws with it."""

    @property
    def name(self) -> str: ...

    @property
    def lora_namings(self) -> tuple[str, ...]: ...  # words of `workbench.names`: files in these names are read whole

    @property
    def paths(self) -> HostPaths: ...

    def checkpoint(self, base: Path | None = None) -> Checkpoint:
        """The checkpoint loaded now, or the facts of another file that the host could load; takes no lock.

        Raises:
            UserError: no usable checkpoint is loaded, or the file is none.
        """

    def checkpoints(self) -> list[Path]:
        """The checkpoint files that can be loaded, the loaded one among them, sorted by name."""

    def obstacles(self, keeping: Keeping = AS_IT_IS) -> list[str]:
        """Sentences: what of the host's settings or of the wishes forbids training, and the remedy; empty = nothing."""

    def remarks(self, keeping: Keeping) -> list[str]:
        """Sentences: which of the wishes change nothing here, and why."""

    def borrow_model(self, base: Path | None = None, keeping: Keeping = AS_IT_IS) -> AbstractContextManager[Lease]:
        """Lends the loaded model; the lease is closed on the way out, and the model is as it was.

        Args:
            base: a checkpoint that the host loads for the run through its own loader; on the way out the former one is
                loaded again, unless the person has loaded another one meanwhile. None = the loaded one.
            keeping: how the run wants it kept; without wishes the host's weights are shared, never copied.

        Raises:
            UserError: the host cannot load it.
        """

    def job(self, title: str) -> AbstractContextManager[JobDisplay]:
        """While open, the host shows a job of this title as one of its own; ended on every way out."""

    def live(self, network: LiveNetwork) -> AbstractContextManager[None]:
        """While open, `<lora:__training__:...>` in a prompt of the host's own generation means this network."""

    def lora_saved(self, file: Path) -> None:
        """Tells the host that a LoRA file was added or replaced: it is listed, and nothing of a former one is used."""

    def checkpoint_saved(self, file: Path) -> None:
        """Tells the host that a checkpoint file was added: it is listed."""

    def presets(self) -> Presets:
        """The block-weight presets as the file says now."""

    def elements(self) -> Elements:
        """The elemental rules as their file says now."""

    def samplers(self) -> list[str]:
        """Names of the samplers, the default first."""
