"""Link boxes of single moments into tubes: who does what from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from actiondet.tubes.chains import chain_rows
from actiondet.tubes.finishing import Chains, fill_gaps, finish
from actiondet.tubes.options import LinkOptions, Preset, named
from actiondet.tubes.suppression import suppress
from evaluation.name_column import NameColumn
from evaluation.ragged import offsets
from evaluation.records import ActionDetections, DetectionRows, FloatArray, IntArray, Tube
from evaluation.tube_dataset import FrameDetections
from evaluation.tube_set import Sizes, TubeSet, frame_numbers

_ROWS_AT_ONCE = 200_000
"""Whole videos (or labels of them) are linked together until they have so many rows: fast, in bounded memory."""


def link(
    detections: Iterable[ActionDetections] | DetectionRows,
    options: LinkOptions | Preset = "default",
    *,
    first_label: int = 1,
    step: int | None = None,
    sizes: Sizes | None = None,
) -> list[Tube]:
    """Link detections of single moments into tubes, every label of every video by itself.

    Args:
        detections: what a network says moment by moment, video by video (moments in any order); or rows as
            result files hold them.
        options: how to link, or the name of a preset: "default" for every frame of a video, "keyframes" for
            moments about a second apart, "mmaction2" for what that toolkit does.
        first_label: label of column 0 of the dense scores: 1 on AVA-format sets, 0 on MultiSports.
        step: distance from one moment to the next, in the unit of the moments; None takes the median
            distance of the moments that a video has.
        sizes: (height, width) in pixels of every video; only `pixel_corners` needs it.

    Returns:
        Tubes with unit boxes, by video, label and falling score.

    Raises:
        InputError: unknown preset.
        ValueError: a video comes back after another one; or `pixel_corners` without `sizes`.

    Example:
        >>> from evaluation import ActionDetections, FrameKey
        >>> box, score = np.array([[0.1, 0.1, 0.4, 0.9]], np.float32), np.ones(1, np.float32)
        >>> seen = [
        ...     ActionDetections(FrameKey("street", second * 1_000_000), box, score, np.array([[0.2, 0.9]], np.float32))
        ...     for second in (1, 2, 3)
        ... ]
        >>> [(tube.label, len(tube)) for tube in actiondet.link(seen, "keyframes") if tube.score > 0.5]
        [(2, 3)]
    """
    options = named(options)
    if options.pixel_corners and sizes is None:
        raise ValueError("these options measure IoU with a pixel added to every box: give `sizes`")
    if isinstance(detections, DetectionRows):
        parts = _whole_videos(detections)
    else:
        parts = _rows_of(detections, options.min_score, first_label)
    return [tube for rows, distances in parts for tube in _link_part(rows, distances, options, step, sizes)]


def link_frames(detections: FrameDetections, options: LinkOptions | Preset = "default") -> TubeSet:
    """Link the frame detections of a tube data set; in pixels, as its files hold them.

    Args:
        detections: scored boxes; those of unknown videos are left out.
        options: how to link, or the name of a preset.

    Returns:
        float32 tubes, by video, label and falling score.

    Raises:
        InputError: unknown preset.
    """
    options = named(options)
    wanted = np.flatnonzero(detections.known & (detections.scores >= options.min_score))
    labels = int(detections.labels.max(initial=0)) + 1
    streams = detections.video[wanted] * labels + detections.labels[wanted]
    parts = []
    for some in _batches(streams):
        rows = wanted[some]
        linked, scores = _link_rows(
            streams[some],
            detections.moments[rows],
            detections.moments[rows],
            detections.boxes[rows].astype(np.float64),
            detections.scores[rows].astype(np.float64),
            np.ones((len(rows), 2)),
            options,
        )
        parts.append(
            TubeSet(
                videos=detections.videos,
                video=linked.streams // labels,
                labels=linked.streams % labels,
                scores=scores,
                offsets=offsets(linked.lengths),
                moments=frame_numbers(linked.moments),
                boxes=linked.boxes.astype(np.float32),
                box_scores=linked.scores.astype(np.float32),
            )
        )
    return TubeSet.concatenate(parts)


def _link_part(
    rows: DetectionRows, distances: FloatArray, options: LinkOptions, step: int | None, sizes: Sizes | None
) -> Iterator[Tube]:
    """Link the rows of some whole videos, whose moments have these (V,) distances."""
    wanted = np.flatnonzero(rows.scores >= options.min_score)
    video = rows.video.codes.astype(np.int64)[wanted]
    names = [str(name) for name in rows.video.categories]
    low = int(rows.labels.min(initial=0))
    labels = int(rows.labels.max(initial=0)) + 1 - low
    pixel = np.ones((len(names), 2))
    if sizes is not None:
        pixel = 1 / np.array([sizes.get(name, (1, 1))[::-1] for name in names], dtype=np.float64).reshape(-1, 2)
    chains, scores = _link_rows(
        video * labels + rows.labels[wanted] - low,
        _steps(video, rows.moment[wanted], distances if step is None else np.full(len(names), float(step))),
        rows.moment[wanted],
        rows.boxes[wanted].astype(np.float64),
        rows.scores[wanted].astype(np.float64),
        pixel[video],
        options,
    )
    ends = np.cumsum(chains.lengths)
    for tube, (start, end) in enumerate(zip((ends - chains.lengths).tolist(), ends.tolist(), strict=True)):
        place, label = divmod(int(chains.streams[tube]), labels)
        yield Tube(
            video=names[place],
            label=label + low,
            score=float(scores[tube]),
            moments=chains.moments[start:end],
            boxes=chains.boxes[start:end],
            box_scores=chains.scores[start:end],
        )


def _link_rows(
    streams: IntArray,
    steps: IntArray,
    moments: IntArray,
    boxes: FloatArray,
    scores: FloatArray,
    pixel: FloatArray,
    options: LinkOptions,
) -> tuple[Chains, FloatArray]:
    """Suppress, link and finish; rows of one label of one video have the same stream number."""
    steps = steps - steps.min(initial=0)
    kept, scores = suppress(streams * (int(steps.max(initial=0)) + 1) + steps, boxes, scores, pixel, options)
    order = np.argsort(steps[kept], kind="stable")  # suppress has sorted by stream and by score
    kept, scores = kept[order], scores[order]
    streams, steps, boxes = streams[kept], steps[kept], boxes[kept]
    tubes = chain_rows(streams, steps, boxes, scores, options)
    chains = fill_gaps(tubes, streams, steps, moments[kept], boxes, scores, options.min_length)
    chains, tube_scores = finish(chains, options)
    ranked = np.lexsort((-tube_scores, chains.streams))
    return chains.take(ranked), tube_scores[ranked]


def _steps(video: IntArray, moments: IntArray, distances: FloatArray) -> IntArray:
    """Count moments in steps of their video's (V,) distance, from its first."""
    first = np.full(len(distances), np.iinfo(np.int64).max)
    np.minimum.at(first, video, moments)
    steps: IntArray = np.rint((moments - first[video]) / distances[video]).astype(np.int64)
    return steps


def _distances(video: IntArray, moments: IntArray, count: int) -> FloatArray:
    """Of each of `count` videos the median distance between its moments, with or without a person."""
    pairs = np.unique(np.stack([video, moments]), axis=1)
    ends = np.searchsorted(pairs[0], np.arange(count + 1))
    parts = [np.diff(pairs[1, begin:end]) for begin, end in pairwise(ends.tolist())]
    return np.array([np.median(part) if len(part) else 1.0 for part in parts], dtype=np.float64)


def _batches(groups: IntArray) -> Iterator[IntArray]:
    """Cut rows into batches of whole groups with about _ROWS_AT_ONCE rows; always at least one batch."""
    if len(groups) <= _ROWS_AT_ONCE:
        yield np.arange(len(groups))
        return
    order = np.argsort(groups, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(groups[order])) + 1, len(order))
    start = 0
    for end, after in zip(ends, [*ends[1:], None], strict=True):
        if after is None or after - start > _ROWS_AT_ONCE:
            yield order[start:end]
            start = end


def _whole_videos(rows: DetectionRows) -> Iterator[tuple[DetectionRows, FloatArray]]:
    """Some whole videos at a time, and the distances of their moments."""
    codes = rows.video.codes.astype(np.int64)
    for some in _batches(codes):
        part = rows[some]
        yield part, _distances(codes[some], part.moment, len(rows.video.categories))


def _rows_of(
    detections: Iterable[ActionDetections], min_score: float, first_label: int
) -> Iterator[tuple[DetectionRows, FloatArray]]:
    """Turn dense scores into rows, whole videos at a time, and return the distances of their moments."""
    waiting: list[tuple[str, int, FloatArray, IntArray, FloatArray]] = []
    finished: set[str] = set()
    count, current = 0, None
    for item in detections:
        video = item.key.video
        if video != current:
            if video in finished:
                raise ValueError(f"detections of video {video} come back after another video; sort them by video")
            finished.add(video)
            current = video
            if count > _ROWS_AT_ONCE:
                yield _joined(waiting)
                waiting, count = [], 0
        person, column = np.nonzero(item.action_scores >= min_score)
        scores = item.action_scores[person, column]
        waiting.append((video, item.key.moment, item.boxes[person], column + first_label, scores))
        count += len(person)
    yield _joined(waiting)


def _joined(parts: list[tuple[str, int, FloatArray, IntArray, FloatArray]]) -> tuple[DetectionRows, FloatArray]:
    names = list(dict.fromkeys(part[0] for part in parts))
    place = {name: index for index, name in enumerate(names)}
    lengths = [len(part[3]) for part in parts]
    codes = np.array([place[part[0]] for part in parts], dtype=np.int64)
    moments = np.array([part[1] for part in parts], dtype=np.int64)
    rows = DetectionRows(
        video=NameColumn(np.repeat(codes, lengths), names),
        moment=np.repeat(moments, lengths),
        boxes=np.concatenate([np.zeros((0, 4)), *(part[2] for part in parts)]),
        labels=np.concatenate([np.zeros(0, np.int64), *(part[3] for part in parts)]),
        scores=np.concatenate([np.zeros(0), *(part[4] for part in parts)]),
    )
    return rows, _distances(codes, moments, len(names))
