"""Data sets of persons and what they do: an open family of settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from actiondet.config.choice import Choice, Settings

UnitFloat = Annotated[float, Field(ge=0, le=1)]


def _name_or_id(value: Any) -> Any:
    """An id that came as text, from a command line, is an id."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    named = isinstance(value, str) and bool(value.strip())
    if not named and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError("expected the name of a class, or its id, a whole number from 0 on")
    return value


NameOrId = Annotated[int | str, BeforeValidator(_name_or_id)]
NamesOrIds = Annotated[tuple[NameOrId, ...], Field(min_length=1)]


class SplitConfig(Settings):
    """The annotation files of one split of a data set."""

    truth: str
    """AVA CSV: video, timestamp, x1, y1, x2, y2, action id, person id."""
    proposals: str | None = None
    """Person boxes (dense-proposal pkl, or PySlowFast's CSV); null uses the boxes of the truth."""
    excluded: str | None = None
    """CSV of (video, timestamp) that take no part."""
    bank: str | None = None
    """What `actiondet build-bank` wrote for this part, for a network with `model.head.bank`."""


class FrameFolderConfig(Settings):
    """Videos that were extracted into one folder of pictures each.

    Example:
        >>> layout = actiondet.FrameFolderConfig(template="img_{:05d}.jpg", fps=10)
        >>> with actiondet.open_video("frames/street", pictures=layout) as video:
        ...     frames = video.read([0])
    """

    template: str = "img_{:05d}.jpg"
    """Python format of a picture's name in its video's folder."""
    first: NonNegativeInt = 1
    """Number of the first picture."""
    fps: PositiveFloat = 30.0
    """Pictures a second."""


class DetectionDataConfig(Choice):
    """Open family: data sets of persons and what they do."""

    unreadable: Literal["stop", "skip"] = "stop"
    """What is done about a video that cannot be read: end with its name, or skip and count it."""
    max_unreadable: UnitFloat = 0.1
    """skip: training stops where more than this share of its videos is missing, or of an epoch's clips unreadable."""


class PersonDataConfig(DetectionDataConfig):
    """What data sets of key moments with person boxes have in common; not a member of the family itself."""

    videos: str
    """Folder of the video files."""
    person_threshold: UnitFloat = 0.9
    """Proposals with a lower score are dropped; where none reaches it, the best one is kept."""
    max_persons: PositiveInt = 100
    """At most so many proposals a moment, best first."""
    match_iou: UnitFloat = 0.9
    """A proposal trains with the labels of a true person that it overlaps at least so much."""
    max_train_boxes: PositiveInt = 32
    """At most so many boxes a clip in training, true boxes included, drawn at random."""
    classes: NamesOrIds | None = None
    """Names or ids of the actions that are trained and scored, a column of the network each, in the order of their
    ids; null takes all. Whoever does none of them trains as an example of none, but with `model.multi_label` false."""
    merge_classes: dict[str, NamesOrIds] | None = None
    """Actions that are trained and scored as one, by its name: {move: [walk, run]}; it has the smallest of their ids.
    null merges none."""
    reader: Literal["auto", "decord", "pyav"] = "auto"


class AvaConfig(PersonDataConfig):
    """AVA, or any set of one's own in its format."""

    name: Literal["ava"] = "ava"
    videos: str
    """Folder of the video files, or of one folder of pictures for each video (see `pictures`)."""
    pictures: FrameFolderConfig | None = None
    """null reads video files."""
    start: float = 900.0
    """Time on the annotations' clock, in seconds, at which every file begins (AVA is cut at 15 minutes)."""
    actions: str
    """Action list (pbtxt) of every id that the truth may hold; the largest id is `model.num_actions`, unless `classes`
    or `merge_classes` choose among them."""
    evaluated_actions: str | None = None
    """Action list (pbtxt) of the ids that are scored; null scores all of `actions`."""
    train: SplitConfig
    val: SplitConfig


class AvaKineticsConfig(AvaConfig):
    """AVA-Kinetics: AVA's videos, and Kinetics clips named `<id>_<start>_<end>` that begin at their own second."""

    name: Literal["ava_kinetics"] = "ava_kinetics"  # type: ignore[assignment]


class TubeSplitConfig(Settings):
    """The annotation files of one split of a data set of tubes."""

    truth: str
    """multisports_GT.pkl (both splits name it; its own lists say which videos belong to which), or MMAction2's CSV of
    this split alone: video, frame from 1, unit box, label from 0, tube."""
    proposals: str | None = None
    """Person boxes: a pickle with keys "video,frame" or "video.mp4,0001"; null uses the boxes of the truth."""
    bank: str | None = None
    """What `actiondet build-bank` wrote for this part, for a network with `model.head.bank`."""


class MultiSportsConfig(PersonDataConfig):
    """MultiSports, or any set of one's own in its format: moments are frames, labels start at 0."""

    name: Literal["multisports"] = "multisports"
    train: TubeSplitConfig
    val: TubeSplitConfig
    train_every: PositiveInt = 1
    """An epoch takes one of so many neighboring annotated frames, drawn at random; 1 takes all of them."""
    val_every: PositiveInt = 1
    """Validation in training scores every n-th annotated frame; tools/test_det.py scores all."""
