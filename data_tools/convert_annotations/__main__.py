"""Convert annotations: `python -m data_tools.convert_annotations SOURCE ... --from cvat --to ava --out DIR`.

Annotations of one's own become a data set (`--to ava`); what a network has found does, too, or tracks to correct
(`--to cvat`, `--to coco`). The truth of a data set becomes COCO's persons (`--to coco`), for a person detector.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool
from evaluation.errors import InputError

if TYPE_CHECKING:
    from data_tools.convert_annotations.annotated import AnnotatedVideo
    from data_tools.convert_annotations.detections import Thresholds
    from data_tools.convert_annotations.key_frames import VideoMoments
    from data_tools.convert_annotations.naming import Naming
    from evaluation.formats.action_list import ActionList


_OWN, _TRUTH, _FOUND = ("cvat", "coco", "yolo"), ("ava", "multisports"), "detections"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        description="Turn your own annotations (CVAT for video 1.1, COCO of video frames, YOLO tracks) into a data set "
        "in AVA's format: truth of both splits, action list, excluded timestamps. Or turn what a network has found "
        "into tracks to correct in CVAT. Or turn a truth file (AVA, MultiSports) into COCO's json of persons, with "
        "which a person detector is fine-tuned.",
        examples=[
            "actiondet convert-annotations annotations --from cvat --to ava --videos videos --out own_data",
            "actiondet convert-annotations found.json --from detections --to cvat --videos videos --out to_correct",
        ],
    )
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="annotation files, or folders of them")
    parser.add_argument("--from", required=True, choices=(*_OWN, _FOUND, *_TRUTH), dest="source_format")
    parser.add_argument("--to", required=True, choices=("ava", "coco", "cvat"), dest="target_format")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=Path, metavar="PATH", help="folder (ava, cvat) or json file (coco)")
    place.add_argument(
        "--update",
        type=Path,
        metavar="DIR",
        help="data set that --to ava has written: replace the videos that it has, add the others; ids and split stay",
    )
    parser.add_argument("--videos", type=Path, metavar="DIR", help="folder of the videos that were annotated")
    parser.add_argument("--fps", type=number, metavar="N", help="their frames a second, if you have no video files")
    parser.add_argument(
        "--every",
        default="1",
        metavar="SECONDS",
        help="between key frames (default 1); 'annotated' makes every annotated frame one",
    )
    parser.add_argument(
        "--start",
        type=number,
        metavar="SECONDS",
        help="time of every first frame (default 0; --from ava: 900)",
    )
    labels = parser.add_argument_group("what is an action")
    labels.add_argument("--person-label", default="person", metavar="LABEL", help="its attributes name actions")
    labels.add_argument("--attributes", nargs="+", metavar="NAME", help="only these attributes name actions")
    labels.add_argument("--ignore-labels", nargs="+", default=[], metavar="LABEL", help="leave their boxes out")
    labels.add_argument("--actions", type=Path, metavar="PBTXT", help="names and ids (default: those found, A to Z)")
    split = parser.add_argument_group("training and validation")
    split.add_argument(
        "--val-share", type=number, default=0.2, metavar="X", help="share of the key frames (default 0.2)"
    )
    split.add_argument(
        "--val-videos",
        nargs="+",
        metavar="NAME",
        help="these videos validate, instead of a share (of --update: of the new videos; the others train)",
    )
    split.add_argument("--seed", type=int, default=0, metavar="N", help="of the division (default 0)")
    boxes = parser.add_argument_group("boxes and frames")
    boxes.add_argument("--clip", action="store_true", help="cut boxes at the border of the frame, do not refuse them")
    boxes.add_argument("--proposals", action="store_true", help="also write all boxes as dense_proposals_*.pkl")
    boxes.add_argument(
        "--first-frame", type=int, metavar="N", help="number of a video's first frame (coco 0; yolo by its names)"
    )
    boxes.add_argument("--vid-stride", type=int, default=1, metavar="N", help="that of `yolo track` (default 1)")
    found = parser.add_argument_group("from detections, and to cvat")
    found.add_argument("--threshold", type=number, default=0.5, metavar="X", help="score that actions need (0.5)")
    found.add_argument("--thresholds", nargs="+", default=[], metavar="NAME=X", help="that of single actions")
    found.add_argument(
        "--tolerance", type=number, default=0.02, metavar="X", help="share of its diagonal that a box may be off (0.02)"
    )
    persons = parser.add_argument_group("from a truth to coco")
    persons.add_argument("--frames", type=Path, metavar="DIR", help="extract the pictures that the json names to here")
    persons.add_argument("--excluded", type=Path, metavar="CSV", help="timestamps of AVA to leave out")
    persons.add_argument(
        "--split", "--part", choices=("train", "val"), default="train", help="of MultiSports (default train)"
    )
    persons.add_argument("--step", type=int, default=12, metavar="N", help="every n-th frame of MultiSports (12)")
    persons.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="default: one a core")
    return parser


def main() -> None:
    """Parse the command line and convert."""
    arguments = _parser().parse_args()
    source, target = arguments.source_format, arguments.target_format
    if source != _FOUND and target != ("ava" if source in _OWN else "coco"):
        raise InputError(
            f"--from {source} --to {target}: expected --from {'|'.join(_OWN)} --to ava, or --from "
            f"{'|'.join(_TRUTH)} --to coco, or --from {_FOUND} --to any"
        )
    if arguments.start is not None and not abs(arguments.start) < 1e9:
        raise InputError(f"--start {arguments.start:g}: expected seconds")
    if arguments.vid_stride < 1 or (arguments.vid_stride > 1 and source != "yolo"):
        raise InputError(f"--vid-stride {arguments.vid_stride}: expected 1 or more, and --from yolo")
    if arguments.fps is not None and not 0 < arguments.fps < 1e6:
        raise InputError(f"--fps {arguments.fps:g}: expected a positive number of frames a second")
    if arguments.update is not None and (target != "ava" or arguments.actions is not None):
        raise InputError(f"--update {arguments.update}: expected --to ava, and no --actions; the set has its own list")
    if arguments.update is not None:
        _update_ava(arguments)
    elif target == "ava":
        _own_to_ava(arguments)
    elif source == _FOUND:
        _found_to_tracks(arguments)
    else:
        _truth_to_coco(arguments)


def _own_to_ava(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.val_share < 1:
        raise InputError(f"--val-share {arguments.val_share:g}: expected a share between 0 and 1")

    from data_tools.convert_annotations.to_ava import split_videos, summary, write_ava

    moments, actions = _moments(arguments)
    train, val = split_videos(
        moments, val_share=arguments.val_share, val_videos=arguments.val_videos, seed=arguments.seed
    )
    splits = {"train": train, "val": val}
    start = _written_start(arguments)
    write_ava(arguments.out, splits, actions, start=start, proposals=arguments.proposals)
    print(summary(splits, actions))
    print(f"{arguments.out}: set model.num_actions={actions.largest_id} data.start={start:g}")


def _update_ava(arguments: argparse.Namespace) -> None:
    from data_tools.convert_annotations.updating import extended_actions, read_data_set, update_ava

    data_set = read_data_set(arguments.update)
    moments, found = _moments(arguments)
    actions = extended_actions(data_set.actions, found.names)
    changes = update_ava(
        data_set,
        moments,
        actions,
        start=_written_start(arguments),
        val_videos=arguments.val_videos or (),
        proposals=arguments.proposals,
    )
    for change in changes:
        print(change)
    for label, name in zip(actions.ids[len(data_set.actions) :], actions.names[len(data_set.actions) :], strict=True):
        print(f"new action {label}: {name}; set model.num_actions={actions.largest_id}")


def _moments(arguments: argparse.Namespace) -> tuple[list[VideoMoments], ActionList]:
    """The key frames of all videos, and the actions: those of --actions, else those that occur."""
    every = _seconds(arguments.every)

    from data_tools.convert_annotations.clips import find_clips
    from data_tools.convert_annotations.key_frames import find_moments
    from data_tools.convert_annotations.naming import action_list, name_actions

    naming = _naming(arguments)
    videos = _read(arguments, naming.actions)
    names = name_actions(videos, naming)
    moments = find_moments(videos, find_clips(videos, arguments.videos, arguments.fps), names, every=every)
    return moments, naming.actions or action_list(names.values(), videos[0].source)


def _written_start(arguments: argparse.Namespace) -> float:
    """The clock of detections is that of the set they were made on; what is written counts from 0, as it was read."""
    return 0.0 if arguments.source_format == _FOUND else float(arguments.start or 0.0)


def _found_to_tracks(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.tolerance < 1:
        raise InputError(f"--tolerance {arguments.tolerance:g}: expected a share of the box, such as 0.02")
    if arguments.target_format == "coco" and arguments.out.suffix != ".json":
        raise InputError(f"--out {arguments.out}: expected a name that ends in .json")

    from data_tools.convert_annotations.clips import find_clips
    from data_tools.convert_annotations.naming import action_list, name_actions

    naming = _naming(arguments)
    videos = _read(arguments, naming.actions)
    names = name_actions(videos, naming)
    clips = find_clips(videos, arguments.videos, arguments.fps)
    actions = (naming.actions or action_list(names.values(), videos[0].source)).names
    if arguments.target_format == "coco":
        from data_tools.convert_annotations.tracks_to_coco import write_tracks

        boxes = write_tracks(arguments.out, videos, clips, names, actions)
        print(f"{arguments.out}: {len(videos)} videos, {boxes} boxes of persons, {len(actions)} actions")
        return
    from data_tools.convert_annotations.to_cvat import write_cvat

    for one in write_cvat(arguments.out, videos, clips, names, actions, tolerance=arguments.tolerance):
        print(f"{one.path}: {one.tracks} persons, {one.keyframes} keyframes for {one.boxes} boxes")
    print(
        f"{arguments.out / 'labels.json'}: paste it into CVAT (new task, Labels, Raw); then upload each file to the "
        "task of its video (Actions, Upload annotations, CVAT 1.1)"
    )


def _naming(arguments: argparse.Namespace) -> Naming:
    from data_tools.convert_annotations.naming import Naming
    from evaluation.formats.action_list import read_action_list

    return Naming(
        person_label=arguments.person_label,
        attributes=None if arguments.attributes is None else tuple(arguments.attributes),
        ignored=frozenset(arguments.ignore_labels),
        actions=None if arguments.actions is None else read_action_list(arguments.actions),
    )


def _truth_to_coco(arguments: argparse.Namespace) -> None:
    if len(arguments.sources) != 1 or arguments.out.suffix != ".json":
        raise InputError("expected one truth file, and an --out that ends in .json")
    if arguments.step < 1:
        raise InputError(f"--step {arguments.step}: expected 1 or more")
    if arguments.frames is not None and arguments.videos is None:
        raise InputError("--frames needs --videos, the folder of the video files")

    from data_tools.convert_annotations.to_coco import ava_pictures, multisports_pictures, write_coco

    truth = arguments.sources[0]
    if arguments.source_format == "ava":
        start = 900.0 if arguments.start is None else arguments.start
        pictures = ava_pictures(truth, arguments.videos, start=start, excluded=arguments.excluded)
    else:
        pictures = multisports_pictures(truth, arguments.videos, split=arguments.split, step=arguments.step)
    boxes = write_coco(arguments.out, pictures)
    print(f"{arguments.out}: {len(pictures.pictures)} pictures of {len(pictures.videos)} videos, {boxes} persons")
    if arguments.frames is not None:
        from data_tools.convert_annotations.pictures import extract

        written = extract(pictures, arguments.frames, processes=arguments.processes)
        print(f"{arguments.frames}: {written} pictures written, {len(pictures.pictures) - written} were there")


def _seconds(text: str) -> float | None:
    if text == "annotated":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds < 1e6:
        raise InputError(f"--every {text}: expected seconds, such as 1 or 0.5, or the word annotated")
    return seconds


def _read(arguments: argparse.Namespace, actions: ActionList | None) -> list[AnnotatedVideo]:
    clip = bool(arguments.clip)
    if arguments.source_format == _FOUND:
        from data_tools.convert_annotations.detections import read_detections

        start = arguments.start or 0.0
        thresholds = _thresholds(arguments)
        return read_detections(arguments.sources, arguments.videos, start=start, actions=actions, thresholds=thresholds)
    if arguments.source_format == "cvat":
        from data_tools.convert_annotations.cvat import read_cvat

        return read_cvat(arguments.sources, clip=clip)
    if arguments.source_format == "coco":
        from data_tools.convert_annotations.coco import read_coco

        return read_coco(arguments.sources, first_frame=arguments.first_frame or 0, clip=clip)
    from data_tools.convert_annotations.yolo import read_yolo

    return read_yolo(arguments.sources, first_frame=arguments.first_frame, clip=clip, stride=arguments.vid_stride)


def _thresholds(arguments: argparse.Namespace) -> Thresholds:
    from data_tools.convert_annotations.detections import Thresholds

    of: dict[str, float] = {}
    for text in arguments.thresholds:
        name, _, number = text.rpartition("=")
        try:
            of[name] = float(number)
        except ValueError:
            of[name] = float("nan")
        if not name or not 0 <= of[name] <= 1:
            raise InputError(f"--thresholds {text}: expected NAME=X, such as wave=0.4")
    if not 0 <= arguments.threshold <= 1:
        raise InputError(f"--threshold {arguments.threshold:g}: expected a score between 0 and 1")
    return Thresholds(arguments.threshold, of)


if __name__ == "__main__":
    run_tool(main)
