"""A feature bank: one vector of each person found at moments of whole videos, and what of it lies around a moment."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from actiondet.datasets.key_frames import SECOND_US
from evaluation.errors import InputError
from evaluation.files import atomic_path, local_file
from evaluation.records import FloatArray, IntArray, expect_shape

HalfArray = npt.NDArray[np.float16]
BoolArray = npt.NDArray[np.bool_]
FORMAT = "actiondet feature bank 1"


@dataclass(frozen=True, eq=False, repr=False)
class VideoFeatures:
    """The persons of one video, N in all.

    Attributes:
        video: its name.
        times: (N,) when each person was found, in microseconds from the video's first frame; not falling.
        moments: (N,) the same as the data set counts, as in FrameKey.
        boxes: (N, 4) float32 unit boxes.
        scores: (N,) float32, of the person detector.
        features: (N, C) float16.
    """

    video: str
    times: IntArray
    moments: IntArray
    boxes: FloatArray
    scores: FloatArray
    features: HalfArray

    def __post_init__(self) -> None:
        count = len(self.times)
        expect_shape(self.moments, "moments", count)
        expect_shape(self.boxes, "boxes", count, 4)
        expect_shape(self.scores, "scores", count)
        expect_shape(self.features, "features", count, None)
        if (np.diff(self.times) < 0).any():
            raise ValueError(f"video '{self.video}': the times of its features fall; expected an order in time")

    def __repr__(self) -> str:
        return f"VideoFeatures({self.video}, {len(self.times)} persons)"


def half(features: FloatArray, *, of: str) -> HalfArray:
    """The features in float16.

    Raises:
        InputError: numbers that are not finite, or too large for it.
    """
    with np.errstate(over="ignore"):
        found: HalfArray = features.astype(np.float16)
    if not np.isfinite(found).all():
        raise InputError(
            f"{of}: its features hold numbers that are not finite in float16 (65504 is the largest); are these the "
            "weights of a trained network?"
        )
    return found


def write_feature_bank(path: str | os.PathLike[str], videos: Sequence[VideoFeatures], about: dict[str, str]) -> None:
    """Write a bank.

    Args:
        path: the file, which ends in .safetensors.
        videos: what it holds.
        about: how it was made; whoever reads it can ask.
    """
    counts = [len(video.times) for video in videos]
    arrays: dict[str, npt.NDArray[Any]] = {
        "video": np.repeat(np.arange(len(videos), dtype=np.int32), counts),
        **{
            name: np.concatenate([getattr(video, name) for video in videos])
            for name in ("times", "moments", "boxes", "scores", "features")
        },
    }
    from safetensors.numpy import save_file

    names = json.dumps([video.video for video in videos])
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={"format": FORMAT, "videos": names, **about})


class BankRows(NamedTuple):
    """Where the persons of a video are in a file, and what there is to know of them before features are read."""

    first: int
    times: IntArray
    scores: FloatArray


class FeatureBank:
    """A bank on the disk; features stay there until they are asked for.

    Attributes:
        path: the file.
        channels: numbers that it holds of each person.
        about: how it was made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read everything but the features.

        Raises:
            InputError: not a bank. OSError: no such file.
        """
        # Here, because a machine that runs exported networks has no use for it.
        from safetensors import SafetensorError, safe_open

        self.path = local_file(path)
        try:
            with safe_open(self.path, framework="np") as file:
                about = dict(file.metadata() or {})
                if about.pop("format", None) != FORMAT:
                    raise InputError(f"{self.path}: not a feature bank; expected a file of `actiondet build-bank`")
                names = json.loads(about.pop("videos"))
                video, times, scores = (file.get_tensor(name) for name in ("video", "times", "scores"))
                count, self.channels = file.get_slice("features").get_shape()
        except (SafetensorError, ValueError, KeyError) as fault:
            raise InputError(f"{self.path}: a damaged feature bank ({fault}); build it again") from None
        if not len(video) == len(times) == len(scores) == count:
            raise InputError(f"{self.path}: a damaged feature bank (its parts differ in length); build it again")
        self.about = about
        bounds = np.searchsorted(video, np.arange(len(names) + 1))
        self._videos = {
            name: BankRows(int(start), times[start:stop], scores[start:stop])
            for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)
        }

    def __len__(self) -> int:
        """How many persons it holds."""
        return sum(len(rows.times) for rows in self._videos.values())

    def __contains__(self, video: str) -> bool:
        return video in self._videos

    def rows(self, video: str) -> BankRows:
        """Those of a video; none for a video that it does not know."""
        nobody = BankRows(0, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
        return self._videos.get(video, nobody)

    def features(self, start: int, stop: int) -> HalfArray:
        """(stop - start, C) of these rows of the file, which is mapped into memory for it."""
        from safetensors import safe_open

        with safe_open(self.path, framework="np") as file:
            found: HalfArray = file.get_slice("features")[start:stop]
        return found


@dataclass(frozen=True, kw_only=True)
class BankWindow:
    """Which slots a memory has: `persons` of each of `window` seconds.

    Attributes:
        window: seconds.
        reach: "both" puts the moment in the middle: with W seconds from W // 2 before it to W - W // 2 - 1 after it;
            "past" lets the window end with it.
        persons: slots of a second.
    """

    window: int
    reach: Literal["both", "past"] = "both"
    persons: int = 5

    @property
    def before(self) -> int:
        """Seconds of the window that are earlier than the moment's own."""
        return self.window - 1 if self.reach == "past" else self.window // 2

    @property
    def look_ahead(self) -> int:
        """Microseconds after a moment up to which persons belong to its window."""
        return (self.window - self.before) * SECOND_US - SECOND_US // 2 - 1

    def choose(
        self, times: IntArray, scores: FloatArray, center: int, random: np.random.Generator | None = None
    ) -> tuple[IntArray, IntArray]:
        """Which persons are remembered around a moment.

        Every person belongs to the nearest second, counted from the moment. Where a second has too many, those with
        the best scores are taken, or random ones.

        Args:
            times: (N,) of the persons of its video, in microseconds, not falling.
            scores: (N,).
            center: the moment, on the same clock.
            random: what draws; None takes the best.

        Returns:
            (M,) which of the N persons, and (M,) their slots.
        """
        second = (times - center + SECOND_US // 2) // SECOND_US + self.before
        first, last = (int(np.searchsorted(second, bound)) for bound in (0, self.window))
        rank = random.random(last - first) if random is not None else -np.asarray(scores[first:last], dtype=np.float64)
        order = np.lexsort((rank, second[first:last]))
        second = second[first:last][order]
        place = np.arange(len(second)) - np.searchsorted(second, second)
        kept = place < self.persons
        return first + order[kept], second[kept] * self.persons + place[kept]

    def memory(self, features: HalfArray, chosen: IntArray, slots: IntArray) -> tuple[HalfArray, BoolArray]:
        """(L, C) features, zeros where a slot is empty, and (L,) which are filled: what `choose` chose of (N, C)."""
        found = np.zeros((self.window * self.persons, features.shape[1]), dtype=np.float16)
        filled = np.zeros(len(found), dtype=np.bool_)
        found[slots], filled[slots] = features[chosen], True
        return found, filled


@dataclass(frozen=True, eq=False)
class BankReader:
    """What a data set asks for what is remembered around its moments.

    Attributes:
        bank: the file.
        window: which slots there are.
    """

    bank: FeatureBank
    window: BankWindow

    def around(self, video: str, center: int, random: np.random.Generator | None = None) -> tuple[HalfArray, BoolArray]:
        """(L, C) features and (L,) bool; arguments as in `BankWindow.choose`."""
        rows = self.bank.rows(video)
        chosen, slots = self.window.choose(rows.times, rows.scores, center, random)
        start, stop = (int(chosen.min()), int(chosen.max()) + 1) if len(chosen) else (0, 0)
        features = self.bank.features(rows.first + start, rows.first + stop)
        return self.window.memory(features, chosen - start, slots)


class VideoMemory:
    """The bank of a video under way: of each second, persons of the first moment are kept, as `build-bank` does it."""

    def __init__(self, window: BankWindow, *, channels: int) -> None:
        """Begin with nothing.

        Args:
            window: which slots a memory has.
            channels: of the features.
        """
        self.window = window
        self._times = np.zeros(0, dtype=np.int64)
        self._scores = np.zeros(0, dtype=np.float32)
        self._features: HalfArray = np.zeros((0, channels), dtype=np.float16)
        self._second: int | None = None

    def wants(self, time: int) -> bool:
        """Whether this is the first moment of its second; times rise from call to call."""
        before, self._second = self._second, time // SECOND_US
        return self._second != before

    def add(self, time: int, scores: FloatArray, features: HalfArray) -> None:
        """Keep the persons of a moment, later than those before: (P,) scores and (P, C) features."""
        self._times = np.append(self._times, np.full(len(scores), time, dtype=np.int64))
        self._scores = np.append(self._scores, scores.astype(np.float32))
        self._features = np.concatenate([self._features, features])

    def forget(self, center: int) -> None:
        """Drop what neither this moment nor a later one remembers."""
        kept = self._times >= center - (self.window.before + 1) * SECOND_US
        self._times, self._scores, self._features = self._times[kept], self._scores[kept], self._features[kept]

    def around(self, center: int) -> tuple[HalfArray, BoolArray]:
        """(L, C) features and (L,) bool: what is remembered around a moment, of what is known so far."""
        chosen, slots = self.window.choose(self._times, self._scores, center)
        return self.window.memory(self._features, chosen, slots)

    @property
    def bytes(self) -> int:
        """What it takes at present."""
        return self._times.nbytes + self._scores.nbytes + self._features.nbytes


def open_bank(path: str | None, window: BankWindow, *, channels: int, setting: str) -> BankReader:
    """Open the bank that a configuration names, for a network that looks into one.

    Raises:
        InputError: it names none, or one of other features.
    """
    if path is None:
        raise InputError(
            f"{setting}: the network has a feature bank (model.head.bank), but there is no file; name the one that "
            "`actiondet build-bank` wrote for this split"
        )
    if not Path(path).exists():
        raise InputError(f"{path}: no such file; {setting} names it, and `actiondet build-bank` makes it")
    bank = FeatureBank(path)
    if bank.channels != channels:
        raise InputError(
            f"{path}: holds {bank.channels} numbers of a person, but model.head.bank.channels is {channels}; set it to "
            f"{bank.channels}, or give the bank of the network that this one was trained with"
        )
    return BankReader(bank, window)
