"""Frame-mAP batch by batch: state that is updated, merged between processes, and computed at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaluation.ap_result import find_thresholds
from evaluation.doubts import ScoreRange, doubts_about_rows
from evaluation.formats.action_list import ActionList
from evaluation.frame_ap import FrameMapResult, notes_on_rows, notes_on_truth, ranked_result
from evaluation.frame_matching import ScoredRows, joined, match_frames
from evaluation.moments import MomentCodes, numbered_in_order
from evaluation.protocols import Protocol, ProtocolName, Ties, find_protocol
from evaluation.records import DetectionRows, FloatArray, FrameKey, IntArray, TruthRows
from evaluation.selection import CodedRows, ColumnArray, LeftOut, columns_of, listed_truth

_BLOCK_ROWS, _BLOCK_PARTS = 100_000, 1000
"""So many rows, or rows of so many updates, are put together into one block."""
_ROWS_AT_ONCE = 300_000
"""Rows of whole moments are scored in parts of this size, in bounded memory."""


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows of listed actions: numbers of their moments, places of their actions, boxes and scores."""

    moment: npt.NDArray[np.int32]
    column: ColumnArray
    boxes: FloatArray
    scores: FloatArray

    def rows(self, chosen: IntArray) -> _Block:
        return _Block(self.moment[chosen], self.column[chosen], self.boxes[chosen], self.scores[chosen])


@dataclass(frozen=True, eq=False)
class _TruthBlock:
    """Rows of truth, and (M,) the update that each came with."""

    rows: TruthRows
    update: npt.NDArray[np.int32]


class FrameAP:
    """The frame-mAP of detections that arrive in batches, bit for bit what `frame_map` finds in one file of them.

    The order of updates does not matter, nor which process makes them. Among equal scores the official rules
    look at the order of the rows in the file. Here that file is the one with its moments in the order of video names
    and times, as `test_det.py` writes it. Rows of one moment that come in one update keep their order; if they come in
    several, they are ordered by falling score, then label, then box. Without equal scores any order of the file gives
    the same result.

    Truth may come again, with each batch or from each process: the same rows of the same moment count once.

    Args:
        actions, excluded, protocol, ties, thresholds: as of `frame_map`.

    Raises:
        InputError: an unknown protocol, or a threshold outside (0, 1].

    Example:
        >>> from evaluation import ActionList, DetectionRows, FrameAP, TruthRows
        >>> metric = FrameAP(ActionList((1, 2), ("sit", "run"), (None, None)))
        >>> boxes = [[0.1, 0.1, 0.3, 0.5]]
        >>> for time, score in ((902, 0.9), (903, 0.4)):
        ...     metric.update(
        ...         TruthRows.from_arrays(video="v", time=time, boxes=boxes, labels=1),
        ...         DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=1, scores=score),
        ...     )
        >>> metric.compute().mean_ap
        1.0
    """

    def __init__(
        self,
        actions: ActionList,
        *,
        excluded: Collection[FrameKey] = frozenset(),
        protocol: ProtocolName | Protocol = "official",
        ties: Ties = "stable",
        thresholds: Sequence[float] | str = (0.5,),
    ) -> None:
        self.actions = actions
        self.excluded = frozenset(excluded)
        self.protocol = find_protocol(protocol)
        self.ties = ties
        self.thresholds = find_thresholds(thresholds)
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._truths: list[_TruthBlock] = []
        self._truth_updates = 0
        self._truth_seen: set[int] = set()
        """For each moment with truth its key, as in `_moments`, times 2**64 plus a digest of its rows."""
        self._last_truth: TruthRows | None = None
        self._videos: dict[str, int] = {}
        self._moments: dict[int, int] = {}
        """Number of each moment; the key is the video's number times 2**64 plus the moment plus 2**63."""
        self._split: set[int] = set()
        """Numbers of moments whose rows came in several updates."""
        self._pending: list[_Block] = []
        self._pending_rows = 0
        self._blocks: list[_Block] = []
        self._unlisted = 0
        self._rows = 0
        self._scores = ScoreRange()

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        return f"FrameAP({len(self.actions)} actions, {len(self)} detections at {len(self._moments)} timestamps)"

    def update(self, truth: TruthRows, detections: DetectionRows) -> None:
        """Take a batch.

        Args:
            truth: annotated boxes of the batch, or of everything, as long as each moment comes at least once.
            detections: scored boxes of the batch.

        Raises:
            InputError: rows that no reader of files lets pass.
        """
        truth.check()
        detections.check()
        if truth is not self._last_truth:
            self._add_truth(truth, self._truth_updates)
            self._truth_updates += 1
            self._last_truth = truth
        self._rows += len(detections)
        self._scores += ScoreRange.of(detections.scores)
        column = columns_of(detections.labels, self.actions)
        listed = np.flatnonzero(column >= 0)
        self._unlisted += len(column) - len(listed)
        if len(listed) == 0:
            return
        codes = MomentCodes.of([detections], [])
        number, distinct = numbered_in_order(codes.of_rows(detections)[listed])
        first = np.zeros(len(distinct), dtype=np.int64)
        first[number[::-1]] = listed[::-1]
        moments = self._numbers(
            [str(name) for name in detections.video.categories],
            detections.video.codes[first],
            detections.moment[first],
        )
        self._append(
            _Block(
                moment=moments[number],
                column=column[listed],
                boxes=_compact(detections.boxes[listed]),
                scores=_compact(detections.scores[listed]),
            )
        )

    def merge(self, other: FrameAP) -> None:
        """Take what another metric of the same settings has taken, for instance that of another process.

        Raises:
            ValueError: the settings differ.
        """
        if other is self:
            raise ValueError("a metric cannot be merged with itself")
        for name in ("actions", "excluded", "protocol", "ties", "thresholds"):
            if getattr(self, name) != getattr(other, name):
                raise ValueError(f"the metrics differ in {name}; only metrics of the same settings can be merged")
        for truths in other._truths:
            for update in np.unique(truths.update).tolist():
                self._add_truth(truths.rows[truths.update == update], self._truth_updates + update)
        self._truth_updates += other._truth_updates
        self._rows += other._rows
        self._scores += other._scores
        self._unlisted += other._unlisted
        video, moment = other._keys()
        numbers = self._numbers(list(other._videos), video, moment)
        self._split.update(numbers[list(other._split)].tolist())
        for block in (*other._blocks, *other._pending):
            self._append(_Block(numbers[block.moment], block.column, block.boxes, block.scores))

    def compute(self) -> FrameMapResult:
        """The result of all batches so far.

        Raises:
            InputError: no truth for any listed action, or detections at which the protocol's toolkit stops.
        """
        self._join_pending()
        truth = self._ordered_truth()
        video, moment = self._keys()
        names = {*self._videos, *(str(name) for name in truth.video.categories)}
        names |= {key.video for key in (*truth.empty_moments, *self.excluded)}
        videos = sorted(names)
        ends = [
            moment,
            truth.moment,
            np.array([key.moment for key in (*truth.empty_moments, *self.excluded)], np.int64),
        ]
        known_moments = np.concatenate(ends)
        first, last = (int(known_moments.min()), int(known_moments.max())) if len(known_moments) else (0, 0)
        codes = MomentCodes(videos, first, last)
        known = listed_truth(truth, self.actions, codes, self.excluded, self.protocol)
        place = {name: index for index, name in enumerate(videos)}
        places = np.array([place[name] for name in self._videos], dtype=np.int64)
        moment_codes = codes.of_moments(places[video], moment) if len(video) else moment
        parts = [
            match_frames(
                rows,
                known,
                actions=self.actions,
                codes=codes,
                protocol=self.protocol,
                thresholds=self.thresholds,
                ties=self.ties,
            ).scored
            for rows in self._parts(moment_codes)
        ]
        scored = joined([*parts, _left_out_alone(parts[0], self._unlisted)])
        del parts
        doubts = doubts_about_rows(self._scores, self.excluded, truth)
        return ranked_result(
            scored,
            known,
            actions=self.actions,
            videos=codes.videos,
            protocol=self.protocol,
            thresholds=self.thresholds,
            ties=self.ties,
            notes=[*notes_on_truth(truth, self.actions), *notes_on_rows(scored, self._rows, self.protocol), *doubts],
        )

    def _add_truth(self, truth: TruthRows, update: int) -> None:
        """Keep the rows and empty moments that were not given before."""
        names = [self._videos.setdefault(str(name), len(self._videos)) << 64 for name in truth.video.categories]
        number, _ = numbered_in_order(MomentCodes.of([truth], []).of_rows(truth))
        order = np.argsort(number, kind="stable")
        starts = np.flatnonzero(np.diff(number[order], prepend=-1))
        digests = _digests(truth[order], starts)
        rows = order[starts]
        codes, moments = truth.video.codes[rows].tolist(), truth.moment[rows].tolist()
        new = np.ones(len(starts), dtype=np.bool_)
        for index, (code, moment, digest) in enumerate(zip(codes, moments, digests, strict=True)):
            seen = (names[code] + moment + 2**63 << 64) + digest
            new[index] = seen not in self._truth_seen
            self._truth_seen.add(seen)
        if not new.all():
            truth = truth[new[number]]
        self._truths.append(_TruthBlock(truth, np.full(len(truth), update, dtype=np.int32)))
        if len(self._truths) >= _BLOCK_PARTS:
            self._truths = [_joined_truths(self._truths)]

    def _ordered_truth(self) -> TruthRows:
        """All truth, moment by moment; the rows of one moment as they came, those of several updates by content."""
        block = _joined_truths(self._truths)
        truth = block.rows
        if len(truth) == 0:
            return truth
        names = np.array([str(name) for name in truth.video.categories], dtype=object)
        video = np.argsort(np.argsort(names))[truth.video.codes]
        order = np.lexsort((truth.moment, video))
        number, _ = numbered_in_order(MomentCodes.of([truth], []).of_rows(truth)[order])
        starts = np.flatnonzero(np.diff(number, prepend=-1))
        updates = block.update[order]
        split = np.minimum.reduceat(updates, starts) != np.maximum.reduceat(updates, starts)
        mixed = split[number]
        rows = order[mixed]
        keys = (*truth.boxes[rows].T[::-1], truth.persons[rows], truth.labels[rows], truth.moment[rows], video[rows])
        order[mixed] = rows[np.lexsort(keys)]
        return truth[order]

    def _numbers(self, names: Sequence[str], video: npt.NDArray[np.integer], moment: IntArray) -> npt.NDArray[np.int32]:
        """Numbers of different moments of one update; those that are known already have become split."""
        numbers = np.empty(len(video), dtype=np.int32)
        codes = [self._videos.setdefault(name, len(self._videos)) << 64 for name in names]
        for index, (place, instant) in enumerate(zip(video.tolist(), moment.tolist(), strict=True)):
            number = len(self._moments)
            known = self._moments.setdefault(codes[place] + instant + 2**63, number)
            if known != number:
                self._split.add(known)
            numbers[index] = known
        return numbers

    def _keys(self) -> tuple[IntArray, IntArray]:
        """(I,) video and moment of every number."""
        video = np.fromiter((key >> 64 for key in self._moments), np.int64, len(self._moments))
        moment = np.fromiter(((key & (2**64 - 1)) - 2**63 for key in self._moments), np.int64, len(self._moments))
        return video, moment

    def _append(self, block: _Block) -> None:
        self._pending.append(block)
        self._pending_rows += len(block.moment)
        if len(self._pending) >= _BLOCK_PARTS or self._pending_rows >= _BLOCK_ROWS:
            self._join_pending()

    def _join_pending(self) -> None:
        if self._pending:
            self._blocks.append(_joined_blocks(self._pending))
            self._pending, self._pending_rows = [], 0

    def _parts(self, moment_codes: IntArray) -> Iterator[CodedRows]:
        """Yield the rows of whole moments, by rising code; at least one part.

        Args:
            moment_codes: (I,) code of every number.
        """
        order = np.argsort(moment_codes)
        rank = np.empty(len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        counts = np.zeros(len(order), dtype=np.int64)
        reach = []
        for block in self._blocks:
            counts += np.bincount(block.moment, minlength=len(order))
            ranks = rank[block.moment]
            reach.append((int(ranks.min()), int(ranks.max())))
        parts = np.cumsum(counts[order]) // _ROWS_AT_ONCE
        cuts = np.unique([0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(order)])
        split = np.zeros(len(order), dtype=np.bool_)
        split[list(self._split)] = True
        labels = np.asarray(self.actions.ids, dtype=np.int64)
        for start, stop in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True) if len(order) else ((0, 0),):
            blocks = []
            for block, (least, most) in zip(self._blocks, reach, strict=True):
                if least < stop and most >= start:
                    ranks = rank[block.moment]
                    blocks.append(block.rows(np.flatnonzero((ranks >= start) & (ranks < stop))))
            rows = _joined_blocks(blocks)
            del blocks
            ranks = rank[rows.moment]
            rows = rows.rows(np.argsort(ranks, kind="stable"))
            mixed = np.flatnonzero(split[rows.moment])
            if len(mixed):
                keys = (*rows.boxes[mixed].T[::-1], labels[rows.column[mixed]], -rows.scores[mixed])
                by_content = np.arange(len(rows.moment))
                by_content[mixed] = mixed[np.lexsort((*keys, rank[rows.moment[mixed]]))]
                rows = rows.rows(by_content)
            yield CodedRows(
                code=moment_codes[rows.moment],
                labels=labels[rows.column],
                boxes=rows.boxes.astype(np.float64, copy=False),
                scores=rows.scores.astype(np.float64, copy=False),
            )


def _compact(values: FloatArray) -> FloatArray:
    """The same numbers in single precision, if it holds every one of them: networks make such."""
    single = values.astype(np.float32)
    return single if np.array_equal(single, values) else values.astype(np.float64, copy=False)


def _joined_blocks(blocks: Sequence[_Block]) -> _Block:
    none = _Block(np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    blocks = [none, *blocks]
    return _Block(
        moment=np.concatenate([block.moment for block in blocks]),
        column=np.concatenate([block.column for block in blocks]),
        boxes=np.concatenate([block.boxes for block in blocks]),
        scores=np.concatenate([block.scores for block in blocks]),
    )


def _joined_truths(blocks: Sequence[_TruthBlock]) -> _TruthBlock:
    updates = [np.zeros(0, np.int32), *(block.update for block in blocks)]
    return _TruthBlock(TruthRows.concatenate([block.rows for block in blocks]), np.concatenate(updates))


def _digests(truth: TruthRows, starts: IntArray) -> list[int]:
    """A number in 64 bits for the rows of every moment, which are neighbors; `starts` has the first row of each."""
    content = np.column_stack([truth.labels, truth.persons, truth.boxes.view()]).astype(np.float64)
    place = np.arange(len(truth)) - np.repeat(starts, np.diff(np.append(starts, len(truth))))
    digest = np.zeros(len(truth), dtype=np.uint64)
    for column in (place, *content.T):
        digest = pd.util.hash_array(digest ^ pd.util.hash_array(np.ascontiguousarray(column)))
    sums: list[int] = np.add.reduceat(digest, starts).tolist() if len(truth) else []
    return sums


def _left_out_alone(like: ScoredRows, unlisted: int) -> ScoredRows:
    """A part without rows that counts what was left out already."""
    none = np.zeros(0, np.int32)
    return ScoredRows(
        offsets=np.zeros_like(like.offsets),
        scores=np.zeros(0, like.scores.dtype),
        hits=np.zeros((len(like.hits), 0), np.bool_),
        video=none,
        left_out=LeftOut(unlisted=unlisted),
        twins=0,
    )
