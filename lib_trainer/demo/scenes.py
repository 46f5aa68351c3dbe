"""Pictures drawn from tags: the world that the demo checkpoint has learned.

A `Scene` names one value per attribute (hair colour, hair style, eyes, mouth, shirt, background, object). `draw` paints
it as a small close-up of a character, `caption` writes its booru-style tags. Everything is a function of the scene and
of a seeded generator, so a picture can be made again from its seed. Shapes are large and flat on purpose: they pass
through an autoencoder that shrinks eight times.

Two things are kept away from `Scene.random`, the sampler that the checkpoint is trained with: the hair-and-background
pairs of `WITHHELD` (to see whether tags combine), and the concept `zunko` (green hair, two buns, a kimono), which is
left for a LoRA to teach. Needs numpy and Pillow only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from PIL import Image, ImageDraw

from lib_trainer.demo.pen import Colour, Pen

Palette = dict[str, Colour]

BASE_VALUES: dict[str, tuple[str, ...]] = {
    "hair": ("black", "blonde", "blue", "red", "white"),
    "style": ("short", "long"),
    "eyes": ("open", "closed"),
    "mouth": ("smile", "open"),
    "shirt": ("red", "blue", "white", "black"),
    "background": ("blue", "pink", "yellow", "purple", "outdoors", "night"),
    "object": ("none", "ball", "star"),
}
"""What the checkpoint was trained on: the values of every attribute, by attribute."""

CONCEPT_LOOK: dict[str, str] = {"hair": "green", "style": "buns", "shirt": "kimono"}
"""The look of the concept. None of these three values is ever drawn by `Scene.random`."""

TRIGGER = "zunko"
"""The word that a LoRA for the concept is trained with."""

ALL_VALUES: dict[str, tuple[str, ...]] = {
    name: values + ((CONCEPT_LOOK[name],) if name in CONCEPT_LOOK else ()) for name, values in BASE_VALUES.items()
}
"""`BASE_VALUES` and the concept's own values: all that a detector has to tell apart."""

WITHHELD: frozenset[tuple[str, str]] = frozenset(
    {("black", "pink"), ("blonde", "night"), ("blue", "yellow"), ("red", "outdoors"), ("white", "purple")}
)
"""(hair, background) pairs that the U-Net, the autoencoder and their captions never show: 5 of 30, one per hair."""

TAGS: dict[tuple[str, str], str] = {
    **{("hair", v): f"{v} hair" for v in ALL_VALUES["hair"]},
    **{("style", v): f"{v} hair" for v in BASE_VALUES["style"]},
    ("style", "buns"): "hair buns",
    **{("eyes", v): f"{v} eyes" for v in BASE_VALUES["eyes"]},
    ("mouth", "smile"): "smile",
    ("mouth", "open"): "open mouth",
    **{("shirt", v): f"{v} shirt" for v in BASE_VALUES["shirt"]},
    ("shirt", "kimono"): "kimono",
    **{("background", v): f"{v} background" for v in ("blue", "pink", "yellow", "purple")},
    ("background", "outdoors"): "outdoors",
    ("background", "night"): "night",
    ("object", "ball"): "holding ball",
    ("object", "star"): "holding star",
}
"""The tag of every (attribute, value); an absent object has none."""

_PALETTE: dict[tuple[str, str], Colour] = {
    ("hair", "black"): (38, 32, 40),
    ("hair", "blonde"): (236, 178, 36),
    ("hair", "blue"): (36, 92, 226),
    ("hair", "red"): (196, 34, 40),
    ("hair", "white"): (240, 240, 246),
    ("hair", "green"): (52, 168, 64),
    ("shirt", "red"): (224, 44, 52),
    ("shirt", "blue"): (44, 84, 214),
    ("shirt", "white"): (246, 246, 246),
    ("shirt", "black"): (34, 34, 42),
    ("shirt", "kimono"): (206, 242, 190),
    ("background", "blue"): (112, 176, 255),
    ("background", "pink"): (255, 158, 202),
    ("background", "yellow"): (255, 236, 126),
    ("background", "purple"): (150, 100, 210),
    ("background", "outdoors"): (142, 212, 252),
    ("background", "night"): (30, 36, 104),
}
_SKIN: Colour = (255, 218, 188)
_INK: Colour = (40, 26, 44)
_GRASS: Colour = (92, 178, 66)
_MOON: Colour = (250, 244, 200)
_SASH: Colour = (24, 96, 52)
_BALL: Colour = (0, 190, 186)
_STAR: Colour = (255, 206, 20)
_LIPS: Colour = (176, 36, 52)
_SUPERSAMPLE = 4


@dataclass(frozen=True)
class Scene:
    """One value per attribute; see `ALL_VALUES` for the values."""

    hair: str = "black"
    style: str = "short"
    eyes: str = "open"
    mouth: str = "smile"
    shirt: str = "red"
    background: str = "blue"
    object: str = "none"

    def __post_init__(self) -> None:
        for field in fields(self):
            value, known = getattr(self, field.name), ALL_VALUES[field.name]
            if value not in known:
                raise ValueError(f"{field.name} must be one of {known}, got {value!r}.")

    @property
    def is_concept(self) -> bool:
        """Whether the whole look of the concept is there."""
        return all(getattr(self, name) == value for name, value in CONCEPT_LOOK.items())

    @property
    def is_withheld(self) -> bool:
        """Whether hair and background are a pair that training never shows."""
        return (self.hair, self.background) in WITHHELD

    def values(self) -> dict[str, str]:
        """The values by attribute, in the order of `BASE_VALUES`."""
        return {name: getattr(self, name) for name in BASE_VALUES}

    @classmethod
    def random(cls, rng: np.random.Generator) -> Scene:
        """An ordinary scene as training sees it: every value equally likely, withheld pairs left out."""
        while True:
            scene = cls(**{name: str(rng.choice(values)) for name, values in BASE_VALUES.items()})
            if not scene.is_withheld:
                return scene

    @classmethod
    def random_withheld(cls, rng: np.random.Generator) -> Scene:
        """An ordinary scene whose hair-and-background pair was withheld from training."""
        pairs = sorted(WITHHELD)
        hair, background = pairs[int(rng.integers(len(pairs)))]
        return replace(cls.random(rng), hair=hair, background=background)

    @classmethod
    def random_concept(cls, rng: np.random.Generator) -> Scene:
        """A scene with the concept's look; eyes, mouth, background and object vary."""
        return replace(cls.random(rng), **CONCEPT_LOOK)

    @classmethod
    def random_near_concept(cls, rng: np.random.Generator) -> Scene:
        """A scene with one or two of the concept's traits but not all three: what a detector must not fall for."""
        names = list(CONCEPT_LOOK)
        kept = rng.choice(names, size=int(rng.integers(1, len(names))), replace=False)
        return replace(cls.random(rng), **{name: CONCEPT_LOOK[name] for name in kept})


def tags(scene: Scene) -> list[str]:
    """The tags of a scene in a fixed order, subject first.

    A concept scene starts with the trigger word and leaves out the tags of its look, so that the trigger absorbs them.
    """
    words = [TRIGGER, "1girl"] if scene.is_concept else ["1girl"]
    for name, value in scene.values().items():
        if (name, value) in TAGS and not (scene.is_concept and name in CONCEPT_LOOK):
            words.append(TAGS[name, value])
    return words


def caption(scene: Scene) -> str:
    """The tags of a scene as one booru-style caption line."""
    return ", ".join(tags(scene))


def caption_without(name: str, scene: Scene) -> str:
    """The caption without the tag of one attribute, such as "eyes": for pictures that differ in it."""
    return ", ".join(tag for tag in tags(scene) if tag != TAGS[name, getattr(scene, name)])


def palette(scene: Scene, rng: np.random.Generator | None = None) -> Palette:
    """The colours a scene is painted in.

    Args:
        scene: What is painted.
        rng: Varies every colour a little (8 levels of 255 each way); None leaves them exact.

    Returns:
        Colours (0..255) by the name of the part.
    """
    colours = {name: _PALETTE[name, getattr(scene, name)] for name in ("hair", "shirt", "background")}
    colours |= {"skin": _SKIN, "grass": _GRASS, "moon": _MOON, "sash": _SASH, "ball": _BALL, "star": _STAR}
    colours |= {"ink": _INK, "lips": _LIPS}
    if rng is None:
        return colours
    return {part: _vary(colour, rng) for part, colour in colours.items()}


def _vary(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = (int(v) for v in np.clip(np.asarray(colour) + rng.integers(-8, 9, 3), 0, 255))
    return red, green, blue


def draw(
    scene: Scene, size: int = 64, rng: np.random.Generator | None = None, colours: Palette | None = None
) -> Image.Image:
    """Paint a scene.

    Args:
        scene: What to paint.
        size: Side of the square picture in pixels.
        rng: Moves and scales the figure a little and varies the colours; None paints the exact middle.
        colours: Replaces the palette (every part of `palette` must be named).

    Returns:
        An RGB picture of size x size pixels, anti-aliased.
    """
    if colours is None:
        colours = palette(scene, rng)
    shift, scale = (0.0, 0.0), 1.0
    if rng is not None:
        shift = (float(rng.uniform(-2.5, 2.5)), float(rng.uniform(-2.0, 2.0)))
        scale = float(rng.uniform(0.95, 1.06))
    image = Image.new("RGB", (size * _SUPERSAMPLE,) * 2)
    pen = Pen(ImageDraw.Draw(image), size * _SUPERSAMPLE / 64, shift, scale)
    _paint_background(pen, scene, colours)
    _paint_back_hair(pen, scene, colours)
    _paint_body(pen, scene, colours)
    _paint_front_hair(pen, scene, colours)
    _paint_face(pen, scene, colours)
    _paint_object(pen, scene, colours)
    return image.reduce(_SUPERSAMPLE)


def _paint_background(pen: Pen, scene: Scene, colours: Palette) -> None:
    pen.box(-20, -20, 84, 84, 0, colours["background"])
    if scene.background == "outdoors":
        pen.box(-20, 36, 84, 84, 0, colours["grass"])
    if scene.background == "night":
        pen.ellipse(8, 9, 6, 6, colours["moon"])


def _paint_back_hair(pen: Pen, scene: Scene, colours: Palette) -> None:
    if scene.style == "long":
        pen.box(8, 10, 56, 72, 16, colours["hair"])
    if scene.style == "buns":
        pen.ellipse(10.5, 13, 10, 10, colours["hair"])
        pen.ellipse(53.5, 13, 10, 10, colours["hair"])


def _paint_body(pen: Pen, scene: Scene, colours: Palette) -> None:
    pen.box(15, 49, 49, 84, 8, colours["shirt"])
    if scene.shirt == "kimono":
        pen.polygon([(20, 47), (28, 47), (37, 68), (28, 68)], colours["sash"])
        pen.polygon([(44, 47), (36, 47), (27, 68), (36, 68)], colours["sash"])
    pen.box(27, 44, 37, 53, 3, colours["skin"])
    pen.ellipse(32, 31, 17, 19, colours["skin"])


def _paint_front_hair(pen: Pen, scene: Scene, colours: Palette) -> None:
    hair = colours["hair"]
    fringe = [(13, 28), (14, 17), (22, 8), (32, 5), (42, 8), (50, 17), (51, 28), (44, 22), (38, 26), (32, 21), (26, 26)]
    pen.polygon([*fringe, (20, 22)], hair)
    reach = {"short": 36, "long": 62, "buns": 30}[scene.style]
    pen.box(10.5, 16, 17.5, reach, 3.5, hair)
    pen.box(46.5, 16, 53.5, reach, 3.5, hair)


def _paint_face(pen: Pen, scene: Scene, colours: Palette) -> None:
    for x in (24.0, 40.0):
        if scene.eyes == "open":
            pen.ellipse(x, 33, 6.2, 7.0, (255, 255, 255))
            pen.ellipse(x, 33.5, 4.4, 5.8, colours["ink"])
            pen.ellipse(x - 1.3, 31, 1.5, 1.8, (255, 255, 255))
        else:
            pen.smile(x, 31, 6.4, 5.5, colours["ink"], 3.0)
    if scene.mouth == "open":
        pen.ellipse(32, 44.5, 4.6, 3.6, colours["lips"])
    else:
        pen.smile(32, 41.5, 5.0, 4.0, colours["lips"], 1.8)


def _paint_object(pen: Pen, scene: Scene, colours: Palette) -> None:
    if scene.object == "ball":
        pen.ellipse(52, 54, 10, 10, colours["ball"])
        pen.ellipse(52, 54, 4.5, 4.5, (255, 255, 255))
    if scene.object == "star":
        turns = [(math.pi * (i / 5 - 0.5), 12.5 if i % 2 == 0 else 6.0) for i in range(10)]
        outline = [(52 + 1.2 * r * math.cos(a), 53 + 1.2 * r * math.sin(a)) for a, r in turns]
        pen.polygon(outline, colours["ink"])
        pen.polygon([(52 + r * math.cos(a), 53 + r * math.sin(a)) for a, r in turns], colours["star"])
