"""Double of the WebUIs' pictures: the fields of a generation, its hooks in order, its seeds and infotext.

What is drawn comes from the model double: `shared.sd_model.paint(p, prompt, negative, seed)` returns a picture. It is
told of every sampling step's end by `p.step_done`, which says whether to go on.
"""
from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

from modules import extra_networks, paths_internal, script_callbacks, scripts, sd_models, shared
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
    c: Any = field(default=None, init=False)
    uc: Any = field(default=None, init=False)

    cached_c: ClassVar[list[Any]] = [None, None]
    cached_uc: ClassVar[list[Any]] = [None, None]

    scripts: Any = field(default=None, init=False)
    script_args_value: Any = field(default=None, init=False)
    is_api: bool = field(default=False, init=False)
    iteration: int = field(default=0, init=False)
    extra_network_data: Any = field(default=None, init=False)
    all_prompts: Any = field(default=None, init=False)
    all_negative_prompts: Any = field(default=None, init=False)
    all_seeds: Any = field(default=None, init=False)
    all_subseeds: Any = field(default=None, init=False)
    main_prompt: str | None = field(default=None, init=False)
    main_negative_prompt: str | None = field(default=None, init=False)
    prompts: Any = field(default=None, init=False)
    negative_prompts: Any = field(default=None, init=False)
    seeds: Any = field(default=None, init=False)
    subseeds: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.comments = {}
        self.styles = self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.cached_c = StableDiffusionProcessing.cached_c  # type: ignore[misc]
        self.cached_uc = StableDiffusionProcessing.cached_uc  # type: ignore[misc]

    @property  # type: ignore[no-redef]
    def sd_model(self) -> Any:  # noqa: F811  # as the hosts do: an argument for old callers, always the loaded model
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value: Any) -> None:
        pass

    @property
    def script_args(self) -> Any:
        return self.script_args_value

    @script_args.setter
    def script_args(self, value: Any) -> None:
        self.script_args_value = value
        if self.scripts and value:
            self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def setup_prompts(self) -> None:
        prompts = self.prompt if isinstance(self.prompt, list) else [self.prompt] * (self.batch_size * self.n_iter)
        styles, styled = shared.prompt_styles, self.styles or []
        self.all_prompts = [styles.apply_styles_to_prompt(prompt, styled) for prompt in prompts]
        negative = styles.apply_negative_styles_to_prompt(self.negative_prompt, styled)
        self.all_negative_prompts = [negative] * len(prompts)
        self.main_prompt, self.main_negative_prompt = self.all_prompts[0], self.all_negative_prompts[0]

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        pass

    def parse_extra_network_prompts(self) -> None:
        self.prompts, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def save_samples(self) -> bool:
        return bool(opts.samples_save and not self.do_not_save_samples)

    def comment(self, text: str) -> None:
        assert self.comments is not None
        self.comments[text] = 1

    def step_done(self, done: int) -> bool:
        """Told by the model double after each sampling step; returns whether to go on (not in the real class)."""
        state.sampling_step = done
        return not (state.interrupted or state.skipped)

    def setup_conds(self) -> None:
        self.c, self.uc = self.conds(self.prompts[0], self.negative_prompt, shared.sd_model.said)  # type: ignore[attr-defined]

    def get_conds(self) -> tuple[Any, Any]:
        return self.c, self.uc

    def denoises(self, cond: Any, uncond: Any, call: int) -> tuple[Any, Any]:
        """Told by the model double before each call of its network; returns the text states (not in the real class)."""
        denoiser = SimpleNamespace(p=self, step=call, steps=self.steps, total_steps=self.steps)
        params = script_callbacks.CFGDenoiserParams(
            None, None, None, max(0, call - 1), self.steps, cond, uncond, denoiser)
        script_callbacks.cfg_denoiser_callback(params)
        return params.text_cond, params.text_uncond

    def conds(self, prompt: str, negative: str, make: Any) -> tuple[Any, Any]:
        """Returns the prompts' text states, kept while nothing in the key changes (not in the real class)."""
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

    all_hr_prompts: Any = field(default=None, init=False)
    all_hr_negative_prompts: Any = field(default=None, init=False)
    hr_prompts: Any = field(default=None, init=False)
    hr_extra_network_data: Any = field(default=None, init=False)
    is_hr_pass: bool = field(default=False, init=False)

    cached_hr_c: ClassVar[list[Any]] = [None, None]
    cached_hr_uc: ClassVar[list[Any]] = [None, None]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.cached_hr_c = StableDiffusionProcessingTxt2Img.cached_hr_c  # type: ignore[misc]
        self.cached_hr_uc = StableDiffusionProcessingTxt2Img.cached_hr_uc  # type: ignore[misc]

    def setup_prompts(self) -> None:
        super().setup_prompts()
        if self.enable_hr:
            styles, styled = shared.prompt_styles, self.styles or []
            hires = styles.apply_styles_to_prompt(self.hr_prompt or self.prompt, styled)
            self.all_hr_prompts = [hires] * len(self.all_prompts)
            self.all_hr_negative_prompts = [self.hr_negative_prompt or self.negative_prompt] * len(self.all_prompts)

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        if not self.enable_hr:
            return

        def hires_prompt(p: Any, index: int, prompt_text: str, **kwargs: Any) -> str | None:
            # the hosts look at the first batch's prompt in all batches
            return p.all_hr_prompts[index] if p.all_hr_prompts[index] != prompt_text else None

        assert self.extra_generation_params is not None
        self.extra_generation_params["Hires prompt"] = hires_prompt

    def parse_extra_network_prompts(self) -> None:
        super().parse_extra_network_prompts()
        if self.enable_hr:
            batch = slice(self.iteration * self.batch_size, (self.iteration + 1) * self.batch_size)
            self.hr_prompts, self.hr_extra_network_data = extra_networks.parse_prompts(self.all_hr_prompts[batch])


class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    pass


class Processed:
    def __init__(self, p: StableDiffusionProcessing, images_list: list[Any], seed: int = -1, info: str = "",
                 subseed: int | None = None, all_prompts: Any = None, all_negative_prompts: Any = None,
                 all_seeds: Any = None, all_subseeds: Any = None, index_of_first_image: int = 0,
                 infotexts: list[str] | None = None, comments: str = "") -> None:
        self.images, self.infotexts, self.index_of_first_image = images_list, infotexts or [info], index_of_first_image
        self.info = info
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
    p.setup_prompts()
    p.all_seeds = [first + (x if p.subseed_strength == 0 else 0) for x in range(len(p.all_prompts))]
    p.all_subseeds = [p.subseed + x for x in range(len(p.all_prompts))]
    if p.scripts is not None:
        p.scripts.process(p)
    p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
    if state.job_count == -1:
        state.job_count = p.n_iter
    images: list[Any] = []
    infotexts: list[str] = []
    for index in range(p.n_iter):
        p.iteration = index
        if state.interrupted:
            break
        state.skipped = False
        for image, text in _batch(p):
            images.append(image)
            infotexts.append(text)
    index_of_first_image = int(bool(opts.return_grid and not p.do_not_save_grid and len(images) > 1))
    if index_of_first_image:
        images.insert(0, images[0].copy())
        infotexts.insert(0, create_infotext(p, p.prompts, p.seeds, p.subseeds, use_main_prompt=True, index=0,
                                            all_negative_prompts=p.negative_prompts))
    if not p.disable_extra_networks and p.extra_network_data:
        extra_networks.deactivate(p, p.extra_network_data)
    processed = Processed(p, images, p.all_seeds[0], infotexts[0] if infotexts else "",
                          index_of_first_image=index_of_first_image, infotexts=infotexts)
    if p.scripts is not None:
        p.scripts.postprocess(p, processed)
    return processed


def _batch(p: StableDiffusionProcessing) -> list[tuple[Any, str]]:
    batch = slice(p.iteration * p.batch_size, (p.iteration + 1) * p.batch_size)
    p.prompts, p.negative_prompts = p.all_prompts[batch], p.all_negative_prompts[batch]
    p.seeds, p.subseeds = p.all_seeds[batch], p.all_subseeds[batch]
    told = {"batch_number": p.iteration, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
    if p.scripts is not None:
        p.scripts.before_process_batch(p, **told)
    p.parse_extra_network_prompts()
    if not p.disable_extra_networks:
        extra_networks.activate(p, p.extra_network_data)
    if p.scripts is not None:
        p.scripts.process_batch(p, **told)
    _write_prompt(p)
    state.sampling_steps = p.steps
    images = _painted(p)
    state.nextjob()
    p.prompts, p.negative_prompts = p.all_prompts[batch], p.all_negative_prompts[batch]
    return [(_postprocessed(p, image), create_infotext(
        p, p.prompts, p.seeds, p.subseeds, index=index, all_negative_prompts=p.negative_prompts))
        for index, image in enumerate(images)]


def _painted(p: StableDiffusionProcessing) -> list[Any]:
    """Draws a batch; in the hires pass anew with the hires prompts, whose networks are activated for it."""
    p.is_hr_pass = False  # type: ignore[attr-defined]
    images = [shared.sd_model.paint(p, *one) for one in zip(p.prompts, p.negative_prompts, p.seeds, strict=True)]
    if not getattr(p, "enable_hr", False):
        return images
    p.is_hr_pass = True  # type: ignore[attr-defined]
    extra_networks.activate(p, p.hr_extra_network_data)  # type: ignore[attr-defined]
    images = [shared.sd_model.paint(p, *one)
              for one in zip(p.hr_prompts, p.negative_prompts, p.seeds, strict=True)]  # type: ignore[attr-defined]
    p.is_hr_pass = False  # type: ignore[attr-defined]
    return images


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


def create_infotext(p: StableDiffusionProcessing, all_prompts: list[str], all_seeds: list[int],
                    all_subseeds: list[int], comments: Any = None, iteration: int = 0, position_in_batch: int = 0,
                    use_main_prompt: bool = False, index: int | None = None,
                    all_negative_prompts: list[str] | None = None) -> str:
    """Returns prompt, negative prompt and the line of values."""
    index = position_in_batch + iteration * p.batch_size if index is None else index
    prompt_text = p.main_prompt if use_main_prompt else all_prompts[index]
    negative_prompt = (all_negative_prompts or p.all_negative_prompts)[index]
    values = {"Steps": p.steps, "Sampler": p.sampler_name, "CFG scale": p.cfg_scale, "Seed": all_seeds[index],
              "Size": f"{p.width}x{p.height}", **(p.extra_generation_params or {})}
    known = {"p": p, "index": index, "prompt_text": prompt_text, "negative_prompt": negative_prompt}
    read = {key: value(**known) if callable(value) else value for key, value in values.items()}
    pairs = (key if key == value else f"{key}: {quote(value)}" for key, value in read.items() if value is not None)
    return f"{prompt_text}\nNegative prompt: {negative_prompt}\n" + ", ".join(pairs)


def quote(text: Any) -> str:
    """Quotes as `infotext_utils.quote` does (not in the real module)."""
    text = str(text)
    return text if not any(mark in text for mark in ",\n:") else json.dumps(text, ensure_ascii=False)
