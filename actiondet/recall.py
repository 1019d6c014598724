"""Scores that wait until what happens after a key frame is known: a feature bank that fills as a video runs.

Of a key frame that waits, clips are not kept, only a vector or two of each person.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from actiondet.datasets.feature_bank import BankWindow, BoolArray, HalfArray, VideoMemory
from actiondet.video.clip_stream import Clip
from evaluation.records import FloatArray

Moment = TypeVar("Moment")
Vectors = npt.NDArray[np.float32]
"""(V, P, C): V views, as the mirrored one, of P persons."""


@runtime_checkable
class RecallingScorer(Protocol):
    """A scorer whose network looks into a feature bank, and the network that fills it.

    Attributes:
        window: which slots a memory has.
        channels: of the bank.
    """

    window: BankWindow
    channels: int

    def features(self, clips: Sequence[Clip], boxes: Sequence[FloatArray]) -> list[HalfArray]:
        """(P_i, channels) of the persons of B clips, which are given at each size: what a bank keeps of them."""
        ...

    def vectors(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[Vectors]:
        """(V, P_i, C) of the persons of B clips of one size: what is scored once the memory is known."""
        ...

    def score_vectors(self, vectors: Vectors, features: HalfArray, filled: BoolArray) -> FloatArray:
        """(P, C) scores of persons with (L, channels) and (L,) of what is remembered around them."""
        ...


class _Waiting(NamedTuple, Generic[Moment]):
    moment: Moment
    time: int
    vectors: tuple[Vectors, ...]


class Recall(Generic[Moment]):
    """The key frames of one video that wait, and the memory of it."""

    def __init__(self, scorer: RecallingScorer, *, waits: bool) -> None:
        """Begin a video.

        Args:
            scorer: the networks.
            waits: whether a key frame waits for what its window holds after it; else its second half stays empty.
        """
        self._scorer = scorer
        self._memory = VideoMemory(scorer.window, channels=scorer.channels)
        self._look_ahead = scorer.window.look_ahead if waits else 0
        self._waiting: deque[_Waiting[Moment]] = deque()

    def take(
        self,
        moments: Sequence[Moment],
        times: Sequence[int],
        clips: Sequence[Sequence[Clip]],
        boxes: Sequence[FloatArray],
        scores: Sequence[FloatArray],
    ) -> list[tuple[Moment, FloatArray | None]]:
        """Take key frames, times rising, and give those back that are known by now.

        Args:
            moments: B of them.
            times: microseconds from the video's first frame.
            clips: (T, h, w, 3) of each, at each size.
            boxes: unit boxes of each, of nobody as well.
            scores: (P,) of each, of the person detector.

        Returns:
            Key frames in order, and (P, C) scores; None where nobody is.
        """
        peopled = [place for place, each in enumerate(boxes) if len(each)]
        vectors: dict[int, list[Vectors]] = {place: [] for place in peopled}
        features: dict[int, HalfArray] = {}
        if peopled:
            sizes = [np.stack(of_size) for of_size in zip(*(clips[place] for place in peopled), strict=True)]
            theirs = [boxes[place] for place in peopled]
            features = dict(zip(peopled, self._scorer.features(sizes, theirs), strict=True))
            for of_size in sizes:
                for place, found in zip(peopled, self._scorer.vectors(of_size, theirs), strict=True):
                    vectors[place].append(found)
        done: list[tuple[Moment, FloatArray | None]] = []
        for place, (moment, time) in enumerate(zip(moments, times, strict=True)):
            done += self._known(before=time - self._look_ahead)
            if place in features and self._memory.wants(time):
                self._memory.add(time, scores[place], features[place])
            self._waiting.append(_Waiting(moment, time, tuple(vectors.get(place, ()))))
            self._memory.forget(self._waiting[0].time)
        if self._look_ahead == 0:
            done += self._known(before=None)
        return done

    @property
    def bytes(self) -> int:
        """What the memory takes at present."""
        return self._memory.bytes

    def finish(self) -> list[tuple[Moment, FloatArray | None]]:
        """Those that still wait when the video has ended."""
        return self._known(before=None)

    def _known(self, *, before: int | None) -> list[tuple[Moment, FloatArray | None]]:
        """The waiting ones that are earlier than this; all for None."""
        done: list[tuple[Moment, FloatArray | None]] = []
        while self._waiting and (before is None or self._waiting[0].time < before):
            each = self._waiting.popleft()
            done.append((each.moment, self._scores(each)))
        return done

    def _scores(self, waiting: _Waiting[Moment]) -> FloatArray | None:
        if not waiting.vectors:
            return None
        memory = self._memory.around(waiting.time)
        found = [self._scorer.score_vectors(vectors, *memory) for vectors in waiting.vectors]
        scores: FloatArray = np.mean(found, axis=0) if len(found) > 1 else found[0]
        return scores
