"""What a training run tells the world: one frozen dataclass per kind of event.

`train()` is a generator of these events; the job numbers them; page, API and CLI read the same numbered stream, so a
page that is reloaded or opened twice misses nothing.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Base of all events; the kind in JSON is the class name."""

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict with `kind` and the event's fields."""
        return {"kind": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """The run begins: what will be trained, on what, for how long.

    Attributes:
        name: output name. model: checkpoint name. total_steps: optimiser updates. epochs: passes over the data.
        images: training pictures. reg_images: regularisation pictures. batches_per_epoch: micro-batches an epoch.
        layers: adapted layers. parameters: trainable numbers. config: the whole config, by field name.
        folder: the job's folder (previews, config, log).
        step: updates done in former parts of the run, 0 = it begins.
        prompts: lines of prompts that are learned from in place of pictures.
        pairs: how many of the pictures have a second one, from which the difference is learned.
    """

    name: str
    model: str
    total_steps: int
    epochs: int
    images: int
    reg_images: int
    batches_per_epoch: int
    layers: int
    parameters: int
    folder: str
    config: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    prompts: int = 0
    pairs: int = 0


@dataclass(frozen=True)
class PhaseStarted(Event):
    """A training of several runs begins its next part; the `Started` that follows belongs to it.

    Attributes:
        place: of the part, from 1. of: parts in all. title: what is done in it, such as "Copier of the picture after".
        folder: of the whole training.
        titles: of all parts, those to come included.
    """

    place: int
    of: int
    title: str
    folder: str = ""
    titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Worked(Event):
    """Progress of a part that works on files: `what` is being done, `done` of `total` units."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class WorkDone(Event):
    """A part that works on files has come to its end: what there is to be known of it.

    Attributes:
        file: what was written, "" = nothing. facts: numbers of the result. rows: a table of it. notes: sentences.
    """

    file: str
    facts: dict[str, Any]
    rows: list[dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class CopyScored(Event):
    """How far a copier's samples are on the way from what the model draws by itself to the picture.

    Attributes:
        step: updates done. score: of the picture that is copied worst; 0 = like the model by itself, 1 = the picture.
        scores: by picture (its file). threshold: the score from which it counts as copied, 0 = none is set.
        copied: measurements in a row that have reached it.
    """

    step: int
    score: float
    scores: dict[str, float]
    threshold: float
    copied: int


@dataclass(frozen=True)
class Cached(Event):
    """Progress before the steps: `what` is "pictures" (being looked at), "latents" or "captions" (being cached).

    Attributes:
        what: see above. done, total: pictures or captions. rate: of them, a second.
    """

    what: str
    done: int
    total: int
    rate: float


@dataclass(frozen=True)
class Stepped(Event):
    """One optimiser update.

    Attributes:
        step: updates done, 1-based. total: updates in all. epoch: 1-based.
        loss: of this update. average_loss: over the most recent epoch's worth of updates.
        lrs: learning rate by parameter group, such as {"unet": 1e-4, "text_encoder": 5e-5}.
        rate: updates a second (smoothed). elapsed, eta: seconds.
        timestep: mean timestep of the update (the loss means little without it).
        text: the field's line, `steps: 5% 610/12200 [05:31<1:44:55, 1.84it/s, loss=0.0995]`.
        norms: where weight norms are limited: layers shortened, mean and greatest length, by sd-scripts' names
            ("keys_scaled", "average_norm", "max_norm"); {} elsewhere.
    """

    step: int
    total: int
    epoch: int
    loss: float
    average_loss: float
    lrs: dict[str, float]
    rate: float
    elapsed: float
    eta: float
    timestep: float
    text: str
    norms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Validated(Event):
    """The loss on the pictures that are held out, always with the same noise at the same timesteps.

    Attributes:
        step: updates done; 0 = what the model knows before the training. epoch: of the last update, 0 before any.
        loss: mean square error. by_timestep: the same of every timestep, such as {"200": 0.13}.
        best_loss, best_step: the lowest since the first update, and when; `best_step` 0 = none yet.
        pictures: that were measured.
    """

    step: int
    epoch: int
    loss: float
    by_timestep: dict[str, float]
    best_loss: float
    best_step: int
    pictures: int


@dataclass(frozen=True)
class LossBands(Event):
    """The losses by timestep so far; those by picture were written to the job's `losses.json` at the same time.

    Attributes:
        step: updates done.
        bands: by timestep: `first`, `last` (not included), `loss` (mean, before all weights), `count` (samples).
    """

    step: int
    bands: list[dict[str, float]]


@dataclass(frozen=True)
class EndedEarly(Event):
    """Early stopping ends the run; `message` says why and which file holds what."""

    step: int
    best_step: int
    message: str


@dataclass(frozen=True)
class Previewed(Event):
    """Previews drawn after `step` updates; 0 = before the first.

    Attributes:
        files: paths. prompts, seeds: of each file.
        random: of each file whether its seed is another one at every preview, so that overfitting shows.
        asked: whether the person asked for them, at whatever step.
    """

    step: int
    files: list[str]
    prompts: list[str]
    seeds: list[int] = field(default_factory=list)
    random: list[bool] = field(default_factory=list)
    asked: bool = False


@dataclass(frozen=True)
class Saved(Event):
    """A LoRA file was written and renamed into place. `final` marks the end result."""

    step: int
    epoch: int
    file: str
    name: str
    final: bool


@dataclass(frozen=True)
class Removed(Event):
    """An older file of this run was removed, as the settings ask."""

    step: int
    file: str
    name: str


@dataclass(frozen=True)
class StateSaved(Event):
    """A state was written from which the run can go on: `folder` is its path, `name` what to write under `resume`."""

    step: int
    folder: str
    name: str


@dataclass(frozen=True)
class Warned(Event):
    """Something the person should know that does not stop the run (a picture skipped, a known trap)."""

    message: str


@dataclass(frozen=True)
class BrokenOff(Warned):
    """The person stopped what can go on later; `message` says what there is by now and how to go on."""


@dataclass(frozen=True)
class Paused(Event):
    """The run waits: by the person's wish or because the host's model was changed (`reason` says)."""

    step: int
    reason: str


@dataclass(frozen=True)
class Continued(Event):
    """The run goes on after a pause."""

    step: int


@dataclass(frozen=True)
class Finished(Event):
    """The end of a run.

    Attributes:
        step: updates done. file: final file, "" when stopped without saving. name: LoRA name.
        tag: what to write in the prompt, such as `<lora:zunko:1>`. trigger: trigger words, parentheses escaped.
        stopped: whether the person stopped it. seconds: wall time.
    """

    step: int
    file: str
    name: str
    tag: str
    trigger: str
    stopped: bool
    seconds: float


@dataclass(frozen=True)
class Failed(Event):
    """The run ended by an error. `user` tells the person's mistake (a sentence) from a bug of ours (with traceback)."""

    message: str
    user: bool
    traceback: str = ""
