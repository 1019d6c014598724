"""Video-mAP and frame-mAP of tube data sets, by the rules of the official MultiSports script.

The official rules, for both: the label alone decides what is compared; detections claim truths in the order
of their scores; each looks at the one truth it overlaps most and is false if that is claimed already; labels
without truth are left out of the mean, labels with truth and without detections count 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.ap_result import Claims
from evaluation.doubts import doubts_about_frames, doubts_about_tubes
from evaluation.errors import InputError
from evaluation.matching import best_of_pairs, best_truths, group_pairs
from evaluation.protocols import Ties
from evaluation.records import IntArray
from evaluation.row_values import check_scores
from evaluation.tube_ap import ThresholdMapResult, claim_order, threshold_map, tolerated
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_iou import paired_tube_iou
from evaluation.tube_set import TubeSet

_ROWS_AT_ONCE = 200_000
"""Boxes are compared with the truth in parts of the file: fast, in bounded memory."""


def video_map(
    truth: TubeTruth, detections: TubeSet, thresholds: Sequence[float] | str = (0.5,), *, ties: Ties = "stable"
) -> ThresholdMapResult:
    """Score tubes: mean AP at IoUs of tubes (`evaluation.tube_iou`).

    Args:
        truth: the data set; its test videos are scored.
        detections: scored tubes; those of other videos than the test videos count as false.
        thresholds: 3D IoUs in (0, 1], or a range such as "0.50:0.95". The overlaps are computed once for all.
        ties: how tubes of equal score are ordered, see `claim_order`.

    Raises:
        InputError: no truth to score, or a threshold outside (0, 1].

    Example:
        >>> from evaluation import read_multisports, read_video_detections, video_map
        >>> truth = read_multisports("GT.pkl")
        >>> video_map(truth, read_video_detections("tubes.pkl"), [0.2, 0.5])
        ThresholdMapResult(1.0000 at 0.2, 1.0000 at 0.5)
    """
    return video_claims(truth, detections, thresholds, ties=ties).result


def video_claims(
    truth: TubeTruth, detections: TubeSet, thresholds: Sequence[float] | str = (0.5,), *, ties: Ties = "stable"
) -> Claims[ThresholdMapResult]:
    """`video_map` with what every tube looked at; truths are those of the test videos, video by video.

    Raises:
        InputError: as `video_map`.
    """
    check_scores(detections.scores)
    tubes = truth.of_videos(truth.test_videos)
    claims = detections.of_videos(truth.test_videos)
    labels = len(truth.labels)
    order, offsets = claim_order(claims.labels, claims.scores, labels, ties)
    known = claims.video[order] >= 0
    groups = np.where(known, claims.video[order] * labels + claims.labels[order], -1)
    rows, pairs = group_pairs(groups, tubes.video * labels + tubes.labels)
    iou = paired_tube_iou(tubes, pairs, claims, order[rows]).iou.astype(np.float64)
    found, best = best_of_pairs(rows, pairs, iou, len(order))
    notes = tolerated(len(claims), int(np.sum(~known)), len(claims) - len(order), "tubes")
    notes += tuple(doubts_about_tubes(detections, truth))
    result = threshold_map(
        truth,
        tubes.labels,
        tubes.video,
        metric="video-mAP",
        offsets=offsets,
        scores=claims.scores[order],
        video=claims.video[order],
        found=found,
        iou=best,
        thresholds=thresholds,
        notes=notes,
    )
    return Claims(result, order, found, best, tubes.labels, tubes.video)


def tube_frame_map(
    truth: TubeTruth, detections: FrameDetections, thresholds: Sequence[float] | str = (0.5,), *, ties: Ties = "stable"
) -> ThresholdMapResult:
    """Score boxes of single frames: mean AP at IoUs of boxes.

    Args:
        truth: the data set; every frame of its test videos counts, also those without truth.
        detections: scored boxes; those of unknown videos and frames count as false.
        thresholds: IoUs in (0, 1], or a range such as "0.50:0.95".
        ties: how boxes of equal score are ordered, see `claim_order`.

    Raises:
        InputError: no truth to score, or a threshold outside (0, 1].

    Example:
        >>> from evaluation import read_frame_detections, read_multisports, tube_frame_map
        >>> truth = read_multisports("GT.pkl")
        >>> tube_frame_map(truth, read_frame_detections("boxes.pkl", truth))
        ThresholdMapResult(0.7500 at 0.5)
    """
    return tube_frame_claims(truth, detections, thresholds, ties=ties).result


def tube_frame_claims(
    truth: TubeTruth, detections: FrameDetections, thresholds: Sequence[float] | str = (0.5,), *, ties: Ties = "stable"
) -> Claims[ThresholdMapResult]:
    """`tube_frame_map` with what every box looked at; truths are the boxes of the test videos' tubes, tube by tube.

    Raises:
        InputError: as `tube_frame_map`.
    """
    check_scores(detections.scores)
    tubes = truth.of_videos(truth.test_videos)
    labels = len(truth.labels)
    order, offsets = claim_order(detections.labels, detections.scores, labels, ties)
    truth_labels = np.repeat(tubes.labels, tubes.lengths)
    # float64 truth, as in the script; detections keep their own type, in which it takes their area.
    truth_boxes = tubes.boxes.astype(np.float64)
    found, best = np.empty(len(detections), dtype=np.int64), np.empty(len(detections))
    # In file order: neighbors in the file look at neighboring truths, and memory likes that.
    for start in range(0, len(detections), _ROWS_AT_ONCE):
        some = detections.part(start, start + _ROWS_AT_ONCE)
        frames, truth_frames = frame_groups(tubes, some)
        groups = np.where(frames >= 0, frames * labels + some.labels, -1)
        rows = slice(start, start + _ROWS_AT_ONCE)
        found[rows], best[rows] = best_truths(some.boxes, groups, truth_boxes, truth_frames * labels + truth_labels)
    found, best = found[order], best[order]
    notes = tolerated(len(detections), int(np.sum(~detections.known[order])), len(detections) - len(order), "boxes")
    notes += tuple(doubts_about_frames(detections, truth))
    result = threshold_map(
        truth,
        truth_labels,
        np.repeat(tubes.video, tubes.lengths),
        metric="frame-mAP",
        offsets=offsets,
        scores=detections.scores[order],
        video=np.where(detections.known, detections.video, -1).astype(np.int32)[order],
        found=found,
        iou=best,
        thresholds=thresholds,
        notes=notes,
    )
    return Claims(result, order, found, best, truth_labels, np.repeat(tubes.video, tubes.lengths))


def frame_groups(tubes: TubeSet, detections: FrameDetections) -> tuple[IntArray, IntArray]:
    """Number the frames of all videos through, for detections and for the boxes of truth tubes.

    Detections of videos or frames beyond the truth, or with a negative label, get -1.

    Raises:
        InputError: the detections were read for another list of videos.
    """
    if detections.videos != tubes.videos:
        raise InputError("these frame detections were read for another list of test videos than the truth has")
    moments = int(tubes.moments.max(initial=0)) + 1
    beyond = ~detections.known | (detections.moments < 0) | (detections.moments >= moments) | (detections.labels < 0)
    frames = np.where(beyond, -1, detections.video * moments + detections.moments)
    return frames, np.repeat(tubes.video * moments, tubes.lengths) + tubes.moments
