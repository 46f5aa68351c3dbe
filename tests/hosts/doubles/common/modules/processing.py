"""Double of the WebUIs' pictures: the fields of a generation, its hooks in order, its seeds and infotext.

What is drawn comes from the model double: `shared.sd_model.paint(p, prompt, negative, seed)` returns a picture. It is
told of every sampling step's end by `p.step_done`, which says whether to go on.
"""
from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Any, ClassVar

from modules import extra_networks, paths_internal, scripts, sd_models, shared
from modules.shared import cmd_opts, opts, state


@dataclass(repr=False)
class StableDiffusionProcessing:
    sd_model: Any = None
    outpath_samples: str | None = None
    outpath_grids: str | None = None
    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict[str, Any] | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = False
    firstpass_image: Any = None
    comments: dict[str, int] | None = None

    cached_c: ClassVar[list[Any]] = [None, None]
    cached_uc: ClassVar[list[Any]] = [None, None]

    scripts: Any = field(default=None, init=False)
    script_args_value: Any = field(default=None, init=False)
    is_api: bool = field(default=False, init=False)
    iteration: int = field(default=0, init=False)
    extra_network_data: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.comments = {}
        self.styles = self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.cached_c = StableDiffusionProcessing.cached_c  # type: ignore[misc]
        self.cached_uc = StableDiffusionProcessing.cached_uc  # type: ignore[misc]

    @property
    def script_args(self) -> Any:
        return self.script_args_value

    @script_args.setter
    def script_args(self, value: Any) -> None:
        self.script_args_value = value
        if self.scripts and value:
            self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text: str) -> None:
        assert self.comments is not None
        self.comments[text] = 1

    def step_done(self, done: int) -> bool:
        """Told by the model double after each sampling step; returns whether to go on (not in the real class)."""
        state.sampling_step = done
        return not (state.interrupted or state.skipped)

    def conds(self, prompt: str, negative: str, make: Any) -> tuple[Any, Any]:
        """Returns the text states of the prompts, from the caches while nothing in the key has changed."""
        key = (prompt, opts.CLIP_stop_at_last_layers, shared.sd_model.sd_checkpoint_info, self.extra_network_data)
        found = []
        for cache, text in ((self.cached_c, prompt), (self.cached_uc, negative)):
            if cache[0] != (text, *key):
                cache[0], cache[1] = (text, *key), make(text)
            found.append(cache[1])
        return found[0], found[1]

    def close(self) -> None:
        if not opts.persistent_cond_cache:
            StableDiffusionProcessing.cached_c = [None, None]
            StableDiffusionProcessing.cached_uc = [None, None]


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    enable_hr: bool = False
    denoising_strength: float = 0.75
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_checkpoint_name: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    force_task_id: str | None = None

    cached_hr_c: ClassVar[list[Any]] = [None, None]
    cached_hr_uc: ClassVar[list[Any]] = [None, None]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cached_hr_c = StableDiffusionProcessingTxt2Img.cached_hr_c  # type: ignore[misc]
        self.cached_hr_uc = StableDiffusionProcessingTxt2Img.cached_hr_uc  # type: ignore[misc]


class Processed:
    def __init__(self, p: StableDiffusionProcessing, images_list: list[Any], infotexts: list[str]) -> None:
        self.images, self.infotexts, self.index_of_first_image = images_list, infotexts, 0
        self.comments = "".join(f"{comment}\n" for comment in p.comments or {})


def process_images(p: StableDiffusionProcessing) -> Processed:
    if p.scripts is not None:
        p.scripts.before_process(p)
    overrides = p.override_settings or {}
    stored = {key: opts.data[key] for key in overrides if key in opts.data}
    try:
        for key, value in overrides.items():
            opts.set(key, value, is_api=True, run_callbacks=False)
        sd_models.reload_model_weights()
        return _process(p)
    finally:
        if p.override_settings_restore_afterwards:
            for key, value in stored.items():
                setattr(opts, key, value)


def _process(p: StableDiffusionProcessing) -> Processed:
    first = random.randrange(2**32) if p.seed == -1 else p.seed
    if p.scripts is not None:
        p.scripts.process(p)
    if state.job_count == -1:
        state.job_count = p.n_iter
    images, infotexts = [], []
    for index in range(p.n_iter):
        p.iteration = index
        if state.interrupted:
            break
        state.skipped = False
        drawn = _batch(p, [first + p.iteration * p.batch_size + i for i in range(p.batch_size)])
        images += [image for image, _ in drawn]
        infotexts += [text for _, text in drawn]
    if not p.disable_extra_networks and p.extra_network_data:
        extra_networks.deactivate(p, p.extra_network_data)
    processed = Processed(p, images, infotexts)
    if p.scripts is not None:
        p.scripts.postprocess(p, processed)
    return processed


def _batch(p: StableDiffusionProcessing, seeds: list[int]) -> list[tuple[Any, str]]:
    prompt = shared.prompt_styles.apply_styles_to_prompt(p.prompt, p.styles or [])
    p.prompts, p.seeds, p.subseeds = [prompt] * len(seeds), seeds, seeds  # type: ignore[attr-defined]
    told = {"batch_number": p.iteration, "prompts": p.prompts, "seeds": seeds, "subseeds": seeds}  # type: ignore[attr-defined]
    if p.scripts is not None:
        p.scripts.before_process_batch(p, **told)
    p.prompts, p.extra_network_data = extra_networks.parse_prompts(p.prompts)  # type: ignore[attr-defined]
    if not p.disable_extra_networks:
        extra_networks.activate(p, p.extra_network_data)
    if p.scripts is not None:
        p.scripts.process_batch(p, **told)
    _write_prompt(p)
    state.sampling_steps = p.steps
    images = [shared.sd_model.paint(p, text, p.negative_prompt, seed)
              for text, seed in zip(p.prompts, seeds, strict=True)]  # type: ignore[attr-defined]
    state.nextjob()
    return [(_postprocessed(p, image), infotext(p, prompt, seed)) for image, seed in zip(images, seeds, strict=True)]


def _postprocessed(p: StableDiffusionProcessing, image: Any) -> Any:
    if p.scripts is None:
        return image
    args = scripts.PostprocessImageArgs(image)
    p.scripts.postprocess_image(p, args)
    return args.image


def _write_prompt(p: StableDiffusionProcessing) -> None:
    if not cmd_opts.no_prompt_history:
        with open(os.path.join(paths_internal.data_path, "params.txt"), "w", encoding="utf8") as file:
            file.write(p.prompt)


def infotext(p: StableDiffusionProcessing, prompt: str, seed: int) -> str:
    """Returns prompt, negative prompt and the line of values (the real one is `create_infotext`)."""
    values = {"Steps": p.steps, "Sampler": p.sampler_name, "CFG scale": p.cfg_scale, "Seed": seed,
              "Size": f"{p.width}x{p.height}", **(p.extra_generation_params or {})}
    return f"{prompt}\nNegative prompt: {p.negative_prompt}\n" + ", ".join(f"{k}: {v}" for k, v in values.items())
