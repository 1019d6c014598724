"""Every knob of linking, with its unit, and the named settings of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from evaluation.errors import InputError

Preset: TypeAlias = Literal["default", "keyframes", "mmaction2"]


@dataclass(frozen=True, kw_only=True)
class LinkOptions:
    """How boxes become tubes.

    A *step* is the time from one moment of a video to the next: one frame in MultiSports, a second in AVA.
    The fields stand in the order in which they act; their defaults are the preset "default".

    Attributes:
        min_score: boxes below this score are not looked at; 0 to 1.
        suppress: what happens to a box that overlaps a better box of its label and moment too much: "drop" it,
            "decay" its score by the factor 1 - IoU, or "keep" it as it is.
        suppress_iou: the IoU above which a box is too close to a better one; 0 to 1.
        pixel_corners: measure that IoU with one pixel added to every width and height, as old detectors do.
        boxes_per_step: of one label and moment at most this many boxes, the best, are linked.
        link_iou: the IoU with the last box of a tube that a box needs to continue it; above 0, to 1.
        prefer: who gets which box. "iou": of all tubes and boxes the pair that overlaps most comes first.
            "score": the tube with the best mean score comes first and takes the box with the best score.
        max_gap: how many steps in a row a tube may go unseen; it is interpolated there.
        trim: cut away the steps where the score of a tube, averaged over `smooth` steps, is below this share
            of its best; where that leaves several parts more than `max_gap` apart, each is a tube; 0 to 1.
        smooth: average every box with its neighbors in a window of so many steps, odd, as far as they overlap
            it by half; 1 leaves the boxes as they are.
        min_length: shorter tubes are dropped; steps.
        prior_steps: a tube scores the sum of its box scores over (length + prior_steps): so many unseen steps
            of score 0 speak against every tube, and most against short ones. 0 is the mean.
        min_tube_score: tubes below this score are dropped; 0 to 1.
    """

    min_score: float = 0.01
    suppress: Literal["drop", "decay", "keep"] = "drop"
    suppress_iou: float = 0.6
    pixel_corners: bool = False
    boxes_per_step: int = 10
    link_iou: float = 0.25
    prefer: Literal["iou", "score"] = "iou"
    max_gap: int = 5
    trim: float = 0.5
    smooth: int = 5
    min_length: int = 3
    prior_steps: float = 5.0
    min_tube_score: float = 0.0

    def __post_init__(self) -> None:
        for name in ("min_score", "suppress_iou", "link_iou", "trim", "min_tube_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1")
        if self.link_iou == 0:
            raise InputError("link_iou is 0, which would link boxes that do not touch; expected more than 0")
        for name, least in (("boxes_per_step", 1), ("max_gap", 0), ("min_length", 1), ("prior_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected {least} or more")
        if self.smooth < 1 or self.smooth % 2 == 0:
            raise InputError(f"smooth is {self.smooth}; expected an odd number of steps, 1 or more")


PRESETS: dict[Preset, LinkOptions] = {
    "default": LinkOptions(),
    # For moments about a second apart, between which a person usually moves.
    "keyframes": LinkOptions(max_gap=1, trim=0.0, smooth=1, min_length=1, prior_steps=1.0),
    # MMAction2's multisports_utils.link_tubes, with every box given its own score; it needs a score for every
    # single frame, as one missed frame ends a tube, and finds nothing shorter than 15 frames.
    "mmaction2": LinkOptions(
        min_score=0.0,
        suppress="decay",
        suppress_iou=0.6,
        pixel_corners=True,
        boxes_per_step=10,
        link_iou=0.5,
        prefer="score",
        max_gap=0,
        trim=0.0,
        smooth=1,
        min_length=15,
        prior_steps=0.0,
        min_tube_score=0.005,
    ),
}


def named(options: LinkOptions | Preset) -> LinkOptions:
    """Return the options of a preset; options are returned as they are.

    Raises:
        InputError: unknown preset.
    """
    if isinstance(options, LinkOptions):
        return options
    if options not in PRESETS:
        raise InputError(f"unknown preset {options!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[options]
