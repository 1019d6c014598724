"""Film a scene: render it, encode it, and keep what is true of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import numpy.typing as npt

from data_tools.toy.actions import EVALUATED, RECALLED, RELATED, RELATIONS, RESPONSES, TRAINED, labels_of
from data_tools.toy.people import Image
from data_tools.toy.recall import plan_recall
from data_tools.toy.relations import plan_relations
from data_tools.toy.render import SEEN, Stage, Track
from data_tools.toy.scenes import RATE, Scene, plan_scene
from data_tools.toy.skaters import plan_skating
from evaluation.files import atomic_path
from evaluation.formats.action_list import ActionList
from evaluation.records import FloatArray, IntArray

Kind = Literal["everyday", "skaters", "recall", "relations"]


@dataclass(frozen=True)
class Order:
    """A film to be made.

    Attributes:
        name: of the video, without suffix; may begin with folders.
        split: "train" or "val".
        seed: all that is random in the film follows from it.
        seconds: length.
        size: (width, height) in pixels.
        slot: seconds for which people at least go on with what they do.
        meetings: whether people seek each other out.
        kind: which people it shows, as of a Size.
        hold: frames for which a picture is shown.
    """

    name: str
    split: str
    seed: tuple[int, ...]
    seconds: int
    size: tuple[int, int]
    slot: int = 1
    meetings: bool = True
    kind: Kind = "everyday"
    hold: int = 1

    @property
    def trained(self) -> ActionList:
        """Every action that is annotated."""
        return {"recall": RECALLED, "relations": RELATED}.get(self.kind, TRAINED)

    @property
    def evaluated(self) -> ActionList:
        """The actions that are scored."""
        return {"recall": RESPONSES, "relations": RELATIONS}.get(self.kind, EVALUATED)


@dataclass(frozen=True)
class Film:
    """What is true of a video of F frames and P persons.

    Attributes:
        order: what was asked for.
        persons: (P,) identities.
        boxes: (P, F, 4) unit boxes around what is seen of each person.
        seen: (P, F) share of each person that is inside the frame and not hidden.
        does: (P, F, C) which of the C trained actions goes on; in the order of `order.trained`.
        doubtful: slots in which a person's action could be argued about; in AVA's films these are seconds.
    """

    order: Order
    persons: IntArray
    boxes: FloatArray
    seen: FloatArray
    does: npt.NDArray[np.bool_]
    doubtful: frozenset[int]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.boxes.shape[1])

    def annotated(self, frame: int) -> IntArray:
        """Return the places of the persons who are visible enough at `frame` to be annotated."""
        return np.flatnonzero((self.seen[:, frame] >= SEEN) & self.does[:, frame].any(axis=1))

    def is_annotated(self, frame: int) -> bool:
        """Whether the truth has this frame; of people who respond, it has the frames in which a person acts."""
        return self.order.kind != "recall" or bool(self.does[:, frame, 1:].any())


def plan(order: Order) -> tuple[Scene, np.random.Generator]:
    """Plan a video; return the generator that draws the rest, too."""
    rng = np.random.default_rng(order.seed)
    width, height = order.size
    if order.kind == "skaters":
        return plan_skating(rng, order.seconds, width / height, people=4), rng
    if order.kind == "recall":
        return plan_recall(rng, order.seconds, width / height), rng
    if order.kind == "relations":
        return plan_relations(rng, order.seconds, width / height), rng
    people = int(rng.choice([2, 3, 4, 5], p=[0.12, 0.4, 0.38, 0.1]))
    return plan_scene(rng, order.seconds, width / height, people, slot=order.slot, meetings=order.meetings), rng


def make_film(order: Order, folder: Path) -> Film:
    """Plan, draw and write one video; the same order gives the same film."""
    cv2.setNumThreads(1)
    scene, rng = plan(order)
    stage = Stage(scene, rng, *order.size, hold=order.hold)
    with atomic_path(folder / f"{order.name}.mp4") as temporary:
        encode(temporary, stage, order.size)
    tracks = [track for track in stage.tracks if (track.seen >= SEEN).any()]
    tracks.sort(key=lambda track: track.actor.person)
    return Film(
        order=order,
        persons=np.arange(len(tracks)),
        boxes=np.stack([track.boxes for track in tracks]),
        seen=np.stack([track.seen for track in tracks]),
        does=np.stack([_does(track, scene, order.trained) for track in tracks]),
        doubtful=scene.doubtful,
    )


def _does(track: Track, scene: Scene, trained: ActionList) -> npt.NDArray[np.bool_]:
    """Return (F, C): the actions of one person, frame by frame."""
    does = np.zeros((len(track.stretch), len(trained)), np.bool_)
    for number, stretch in enumerate(track.actor.stretches):
        relation = scene.relations[track.actor.first + number].get(track.actor.person)
        columns = [trained.ids.index(label) for label in labels_of(stretch, relation)]
        does[np.ix_(track.stretch == number, columns)] = True
    return does


def encode(path: Path, frames: Iterable[Image], size: tuple[int, int]) -> None:
    """Write frames (H, W, 3) uint8 RGB as H.264 in mp4, or as MPEG-4 in AVI, by the suffix of `path`."""
    avi = path.suffix == ".avi"
    with av.open(str(path), "w", options={} if avi else {"movflags": "+faststart"}) as container:
        stream = container.add_stream("mpeg4" if avi else "libx264", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = RATE // 2
        # One thread: the films are made side by side, and the same film is the same file.
        stream.codec_context.thread_count = 1
        stream.options = {"qscale": "3"} if avi else {"crf": "21", "preset": "superfast"}
        if avi:
            stream.bit_rate = 1_200_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
