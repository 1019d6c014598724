"""Test a detector on the frames of a set of tubes (MultiSports): frame detections, and their frame-mAP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lightning_fabric import Fabric

from actiondet.config import DetectionConfig
from actiondet.config.data_sets import MultiSportsConfig
from actiondet.data.build import split_bank
from actiondet.data.dense import DenseClips, VideoEnd, VideoMoments, build_dense_loader, video_moments
from actiondet.data.loading import worker_deaths_explained
from actiondet.datasets.multisports import TubeSplit, read_tube_split, with_sizes_of_files
from actiondet.datasets.sources import reader_pool
from actiondet.datasets.splits import Moments
from actiondet.engine.indexing import index_videos
from actiondet.engine.log import log_line, shared_bar
from actiondet.engine.predict import Control, Scoring, averaged, detect_batch, settings_of_scores
from actiondet.engine.tubes.multisports_rows import RowChoice, Rows, as_detections
from actiondet.models.detector import ActionDetector
from actiondet.parts import Arrays, PartStore
from actiondet.tubes.carrying import CarriedPersons
from actiondet.tubes.score_smoothing import smooth_scores
from actiondet.video.kept_index import KeptIndices
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError
from evaluation.formats.multisports import write_frame_detections
from evaluation.records import ActionDetections, FrameKey, IntArray
from evaluation.tables import write_json
from evaluation.tube_ap import ThresholdMapResult
from evaluation.tube_scoring import tube_frame_map


@dataclass(frozen=True, kw_only=True)
class FrameTest:
    """Which frames of the validation split are tested, and what is written of them.

    Attributes:
        moments: "all" frames, the authors' protocol, or the "annotated" ones alone, MMAction2's.
        stride: the network looks at frames 1, 1 + stride, ...; persons and scores are carried to those between.
        smooth: odd number of frames over which each person's scores are averaged; 1 leaves them.
        choice: which scores become rows.
        control: still or reversed clips.
    """

    moments: Moments = "all"
    stride: int = 1
    smooth: int = 1
    choice: RowChoice = field(default_factory=RowChoice)
    control: Control = "none"

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise InputError(f"--stride {self.stride}: expected 1 (every frame) or more")
        if self.smooth < 1 or self.smooth % 2 == 0:
            raise InputError(f"--smooth {self.smooth}: expected an odd number of frames; 1 averages nothing")
        if self.choice.labels_per_box is not None and self.choice.labels_per_box < 1:
            raise InputError(f"--labels-per-box {self.choice.labels_per_box}: expected 1 or more")
        if not 0 <= self.choice.min_score <= 1:
            raise InputError(f"--min-score {self.choice.min_score:g}: expected a score, 0 to 1")


@worker_deaths_explained()
def run_tube_test(
    config: DetectionConfig,
    detector: ActionDetector,
    *,
    weights: str | Path,
    folder: Path,
    fabric: Fabric,
    test: FrameTest,
) -> ThresholdMapResult | None:
    """Detect on the frames of the validation split, write frame_detections.pkl and results.json into `folder`, score.

    Every finished video is kept beside the result; a run that was stopped goes on there, with any number of processes,
    and ends with the same file. Videos that are missing or cannot be read are counted and left out.

    Args:
        config: of a set of tubes.
        detector: with its weights, on its device.
        weights: the file that they come from.
        folder: of the results.
        fabric: of the process; the processes share the videos.
        test: which frames.

    Returns:
        In the first process the official frame-mAP@0.5; None in the others.

    Raises:
        InputError: data that cannot be used, or no video that can be read.
    """
    assert isinstance(config.data, MultiSportsConfig)
    split = with_sizes_of_files(
        read_tube_split(config.data, "val", num_actions=config.model.num_actions, skip_missing=True)
    )
    test = replace(test, choice=replace(test.choice, labels=split.actions.ids))
    videos = _looked_at(config.data, split, test)
    target = folder / "frame_detections.pkl"
    parts = _parts(target, config, weights, test)
    share = videos[fabric.global_rank :: fabric.world_size]
    parts.forget_faults(video.video for video in share)
    fabric.barrier()
    sources = reader_pool({video.video: video.path for video in videos}, split.data)
    index_videos([sources], fabric)
    _detect(detector, share, split, parts, config, fabric, test, kept=sources.kept)
    if not fabric.is_global_zero:
        return None
    parts.wait_for(video.video for video in videos)
    return _finish(split, videos, parts, target, weights, test)


class TestedVideo(NamedTuple):
    """What was found in one video: its rows, and how it ended."""

    rows: Rows
    end: VideoEnd


def _parts(target: Path, config: DetectionConfig, weights: str | Path, test: FrameTest) -> PartStore[TestedVideo]:
    """The finished videos of a test; videos that are added later belong to it, because the truth says their places."""
    assert isinstance(config.data, MultiSportsConfig)
    val = config.data.val
    bank = None if config.model.bank is None else val.bank
    files = [path for path in (weights, val.truth, val.proposals, bank) if path]
    return PartStore(target, [settings_of_scores(config), repr(test)], files, pack=_packed, unpack=_unpacked)


def _packed(video: TestedVideo) -> Arrays:
    return {"rows": video.rows, **{name: np.array(value) for name, value in vars(video.end).items()}}


def _unpacked(arrays: Arrays) -> TestedVideo:
    video, late, beyond = (arrays[name].item() for name in ("video", "late", "beyond"))
    return TestedVideo(arrays["rows"], VideoEnd(video, late, beyond))


def _looked_at(data: MultiSportsConfig, split: TubeSplit, test: FrameTest) -> list[VideoMoments]:
    """What the network looks at: the frames asked for, or every n-th of each video, where there is a person."""
    keys = split.keys(test.moments if test.stride == 1 else "all")
    if test.stride > 1:
        keys = keys.take((keys.moment - 1) % test.stride == 0)
    persons = split.persons(keys)
    persons = persons.take(persons.counts > 0)
    if len(persons) == 0:
        raise InputError(f"{data.val.truth}: no frame to test has a person; are the proposals those of this split?")
    return video_moments(persons, dict(split.paths))


def _detect(
    detector: ActionDetector,
    share: Sequence[VideoMoments],
    split: TubeSplit,
    parts: PartStore[TestedVideo],
    config: DetectionConfig,
    fabric: Fabric,
    test: FrameTest,
    *,
    kept: KeptIndices | None,
) -> None:
    """Test the videos of this process that are not done yet."""
    todo = [video for video in share if not parts.has(video.video)]
    by_name = {video.video: video for video in todo}
    count = sum(len(video.persons) for video in share)
    left = sum(len(video.persons) for video in todo)
    bar = shared_bar("moments", count, fabric, done=count - left)
    assert isinstance(config.data, MultiSportsConfig)
    clips = DenseClips(
        todo,
        window=ClipWindow(**dict(config.clip)),
        short_sides=config.test_short_sides,
        batch=config.test.batch,
        kept=kept,
        tracks=split.tracks() if detector.head.follows_tracks else None,
        bank=split_bank(split, "val", config.model.bank),
    )
    found: dict[str, list[ActionDetections]] = {}
    scoring = Scoring.of(config, control=test.control)
    detector.eval()
    for loaded in build_dense_loader(clips, workers=min(config.train.workers, len(todo))):
        if isinstance(loaded, VideoEnd):
            of_video = found.pop(loaded.video, [])
            if loaded.fault:
                parts.put_fault(loaded.video, loaded.fault)
            else:
                parts.put(loaded.video, TestedVideo(_rows(of_video, loaded.video, split, test), loaded))
            continue
        video = by_name[loaded[0].keys[0].video]
        sizes = [detect_batch(detector, each, video.persons, fabric=fabric, scoring=scoring) for each in loaded]
        scored = averaged(chain.from_iterable(sizes))
        found.setdefault(video.video, []).extend(scored)
        bar.advance(by=len(scored))
    bar.close()


def _rows(found: list[ActionDetections], video: str, split: TubeSplit, test: FrameTest) -> Rows:
    """The rows of one video."""
    found = smooth_scores(found, test.smooth)
    if test.stride > 1 and found:
        found = _carried(found, _written(split, video, test.moments), test.stride)
    place = split.truth.test_videos.index(video)
    rows = [test.choice.of(each, place=place, size=split.truth.sizes[video]) for each in found]
    return np.concatenate([np.empty((0, 8), np.float32), *rows])


def _written(split: TubeSplit, video: str, moments: Moments) -> IntArray:
    """The frames of `video` that detections are carried to."""
    if moments == "all":
        return np.arange(1, split.truth.frame_counts[video] + 1, dtype=np.int64)
    keys = split.people.keys
    return keys.moment[keys.video == keys.names.index(video)] if video in keys.names else np.zeros(0, dtype=np.int64)


def _carried(found: list[ActionDetections], moments: IntArray, stride: int) -> list[ActionDetections]:
    """The persons at each of `moments`, carried there from the frames that the network saw.

    A frame that it should have seen but that has no detection shows nobody.
    """
    columns = found[0].action_scores.shape[1]
    by_moment = {each.key.moment: each for each in found}
    video = found[0].key.video
    nobody = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, columns), np.float32))
    last = max(int(moments.max(initial=0)), found[-1].key.moment)
    seen = [
        by_moment.get(moment) or ActionDetections(FrameKey(video, moment), *nobody)
        for moment in range(1, last + 1, stride)
    ]
    carried = CarriedPersons.linked(seen)
    return [carried.at(moment)[0] for moment in moments.tolist()]


def _finish(
    split: TubeSplit,
    videos: Sequence[VideoMoments],
    parts: PartStore[TestedVideo],
    target: Path,
    weights: str | Path,
    test: FrameTest,
) -> ThresholdMapResult:
    """Put the parts together and score them."""
    names = [video.video for video in videos]
    faults = parts.faults(names)
    whole = [name for name in names if name not in faults]
    ends, counts = zip(*((tested.end, len(tested.rows)) for tested in map(parts.get, whole)), strict=True)
    rows = np.empty((sum(counts), 8), dtype=np.float32)  # read again: only the joined array takes memory
    for tested, stop, count in zip(map(parts.get, whole), np.cumsum(counts), counts, strict=True):
        rows[stop - count : stop] = tested.rows
    ends = (*ends, *(VideoEnd(name, fault=fault) for name, fault in faults.items()))
    detections = as_detections(rows, split.truth)
    write_frame_detections(target, detections)
    result = tube_frame_map(split.truth, detections)
    notes = [*split.notes, *_left_out(split, test.moments, ends), *result.notes]
    summary = {
        "mean_ap": result.mean_ap,
        "metric": "frame-mAP@0.5",
        **{key: value for key, value in asdict(test).items() if key != "choice"},
        **{key: value for key, value in asdict(test.choice).items() if key != "labels"},
        "weights": str(weights),
        "per_class": {str(label): float(result.ap[0, label]) for label in result.labels.tolist()},
        "notes": notes,
    }
    write_json(target.with_name("results.json"), summary)
    for note in notes:
        log_line(f"note: {note}")
    log_line(f"wrote {target} ({len(detections)} rows) and {target.with_name('results.json')}")
    if not faults:
        parts.remove()
    return result


def _left_out(split: TubeSplit, moments: Moments, ends: Sequence[VideoEnd]) -> list[str]:
    """What could not be tested, and counts as not found: one sentence for each kind."""
    notes = []
    if split.missing:
        notes.append(
            f"missing videos: {len(split.missing)}, such as '{split.missing[0]}'; their truth counts as missed"
        )
    looked_at = {end.video for end in ends}
    asked = {key.video for key in split.keys(moments)} if moments == "annotated" else split.paths
    if empty := [name for name in split.paths if name in asked and name not in looked_at]:
        notes.append(f"videos without a person to test: {len(empty)}, such as '{empty[0]}'; nobody is found there")
    faults = [end for end in ends if end.fault]
    if faults:
        notes.append(f"videos that cannot be read: {len(faults)}; the first: {faults[0].fault}")
    late, beyond = sum(end.late for end in ends), sum(end.beyond for end in ends)
    short = next((end.video for end in ends if end.late or end.beyond), "")
    if late:
        notes.append(
            f"frames up to a second after the end of their file: {late}, such as in '{short}'; its last stand in"
        )
    if beyond:
        notes.append(f"frames far beyond the end of their file: {beyond}, such as in '{short}'; nobody is found there")
    return notes
