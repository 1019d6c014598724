"""Short videos of one action each, in the folders and lists of Kinetics and UCF101."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_tools.toy.actions import EVALUATED
from data_tools.toy.films import encode
from data_tools.toy.motions import Activity, Stretch, random_stretch
from data_tools.toy.people import random_look
from data_tools.toy.render import Stage
from data_tools.toy.scenes import RATE, Actor, Scene
from evaluation.files import atomic_path, write_text

SECONDS = 2
_ACTIVITY: dict[str, Activity] = {"stand": "stand", "wave": "stand", "jump": "jump", "spin": "spin"}


@dataclass(frozen=True)
class Clip:
    """A video of one action.

    Attributes:
        label: place in the evaluated actions, from 0.
        group: clips of a group show the same person at the same place, from 1.
        number: of the clip within its group, from 1.
        split: "train" or "val".
        seed: all that is random follows from it.
        size: (width, height) in pixels.
    """

    label: int
    group: int
    number: int
    split: str
    seed: int
    size: tuple[int, int]

    @property
    def kinetics_path(self) -> str:
        """Path in the Kinetics folder: eleven characters as of a video site, and the seconds that were cut."""
        name = f"toy{self.label:02d}{self.group:03d}{self.number:03d}"
        return f"{self.split}/{folder_name(self.label)}/{name}_{0:06d}_{SECONDS:06d}.mp4"

    @property
    def ucf101_path(self) -> str:
        """Path in the UCF101 folder of videos."""
        return f"{class_name(self.label)}/v_{class_name(self.label)}_g{self.group:02d}_c{self.number:02d}.avi"


def folder_name(label: int) -> str:
    """Return the name of an action with underscores."""
    return EVALUATED.names[label].replace(" ", "_")


def class_name(label: int) -> str:
    """Return the name of an action as UCF101 writes its classes, such as WalkLeft."""
    return EVALUATED.names[label].title().replace(" ", "")


def plan_clips(seed: int, size: tuple[int, int], train_groups: int, val_groups: int, clips: int) -> list[Clip]:
    """List the clips of all actions."""
    return [
        Clip(label, group, number, "train" if group <= train_groups else "val", seed, size)
        for label in range(len(EVALUATED))
        for group in range(1, train_groups + val_groups + 1)
        for number in range(1, clips + 1)
    ]


def make_clip(clip: Clip, kinetics: Path, ucf101: Path) -> None:
    """Draw one clip and write it for both sets."""
    cv2.setNumThreads(1)
    width, height = clip.size
    frames = list(Stage(_scene(clip), np.random.default_rng([clip.seed, 5, clip.label, clip.group]), width, height))
    for path in (kinetics / clip.kinetics_path, ucf101 / "UCF-101" / clip.ucf101_path):
        with atomic_path(path) as temporary:
            encode(temporary, frames, clip.size)


def _scene(clip: Clip) -> Scene:
    """Put one acting person, and for approach and follow a second one, in the middle of the frame."""
    looks = np.random.default_rng([clip.seed, 6, clip.label, clip.group])
    rng = np.random.default_rng([clip.seed, 7, clip.label, clip.group, clip.number])
    aspect = clip.size[0] / clip.size[1]
    cast = [
        Actor(person, random_look(looks), rng.uniform(0.6, 0.8), rng.uniform(0.88, 0.96), 0.0, 0) for person in (0, 1)
    ]
    name = EVALUATED.names[clip.label]
    waving = name == "wave" or (name.startswith("walk") and rng.random() < 0.3)
    direction = {"walk left": -1, "walk right": 1}.get(name, 0)
    meets = name in ("approach a person", "follow a person")
    if direction == 0 and not meets:
        chosen = [random_stretch(rng, _ACTIVITY.get(name, "crouch"), 0, waving=waving)]
    else:
        direction = direction or int(rng.choice([-1, 1]))
        chosen = [random_stretch(rng, "walk", direction, waving=waving)]
    middle = aspect / 2 + rng.uniform(-0.15, 0.15)
    if meets:
        cast[1].height, cast[1].ground = cast[0].height * rng.uniform(0.95, 1.05), cast[0].ground
        follow = name == "follow a person"
        chosen.append(random_stretch(rng, "walk" if follow else "stand", direction if follow else 0))
        ahead = 0.6 * cast[0].height if follow else 0.3 * cast[0].height + abs(cast[0].step(chosen[0]))
        middle -= direction * ahead / 2
        cast[1].start = middle + direction * ahead - 1.5 * cast[1].step(chosen[1])
    cast[0].start = middle - 1.5 * cast[0].step(chosen[0])
    for actor, stretch in zip(cast, chosen, strict=False):
        _repeat(actor, stretch, SECONDS + 1)
    return Scene(SECONDS, aspect, cast[: len(chosen)], [{}] * (SECONDS + 1), frozenset())


def _repeat(actor: Actor, stretch: Stretch, slots: int) -> None:
    for _ in range(slots):
        actor.positions.append(actor.x + actor.step(stretch))
        actor.stretches.append(stretch)


def write_kinetics(folder: Path, clips: Sequence[Clip]) -> None:
    """Write the lists of videos, the lists of frame folders, the official tables and the names of the labels."""
    _write(folder / "label_map.txt", [folder_name(label) for label in range(len(EVALUATED))])
    for split in ("train", "val"):
        ours = [clip for clip in clips if clip.split == split]
        _write(folder / f"{split}.txt", [f"{clip.kinetics_path} {clip.label}" for clip in ours])
        folders = [clip.kinetics_path.removesuffix(".mp4") for clip in ours]
        rows = [f"{path} {SECONDS * RATE} {clip.label}" for path, clip in zip(folders, ours, strict=True)]
        _write(folder / f"{split}_frames.txt", rows)
        table = ["label,youtube_id,time_start,time_end,split"]
        for path, clip in zip(folders, ours, strict=True):
            table.append(f"{EVALUATED.names[clip.label]},{path.split('/')[-1][:11]},0,{SECONDS},{split}")
        _write(folder / "annotations" / f"{split}.csv", table)


def write_ucf101(folder: Path, clips: Sequence[Clip]) -> None:
    """Write the class list and the first split."""
    _write(folder / "classInd.txt", [f"{label + 1} {class_name(label)}" for label in range(len(EVALUATED))])
    train = [f"{clip.ucf101_path} {clip.label + 1}" for clip in clips if clip.split == "train"]
    _write(folder / "trainlist01.txt", train)
    _write(folder / "testlist01.txt", [clip.ucf101_path for clip in clips if clip.split == "val"])


def _write(path: Path, lines: Sequence[str]) -> None:
    write_text(path, "".join(f"{line}\n" for line in lines))
