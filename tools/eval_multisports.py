"""Score boxes or tubes on MultiSports, JHMDB or UCF101-24: the numbers of the official MultiSports script."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.arguments import Parser, add_outputs, add_page, check_page, write_outputs
from evaluation.command_line import run_tool

if TYPE_CHECKING:
    from evaluation.error_breakdown import ErrorBreakdown
    from evaluation.protocols import Ties
    from evaluation.tube_ap import ThresholdMapResult
    from evaluation.tube_dataset import FrameDetections, TubeTruth
    from evaluation.tube_set import TubeSet

TASKS = {
    "frame": "frame-mAP of frame detections",
    "video": "video-mAP of tubes",
    "video-all": "video-mAP of tubes at 0.2 and 0.5 and the means over 0.05:0.45, 0.10:0.90 and 0.50:0.95",
    "errors": "where the AP of tubes is lost",
    "frame-errors": "where the AP of frame detections is lost",
}

PROTOCOLS = {
    "all": "all frames, the authors' protocol",
    "annotated": "frames with truth alone, MMAction2's protocol: false alarms elsewhere do not count",
}
TUBES = "those that the tubes were linked from; the authors' protocol is all frames, link_tubes.py's default"


def parse_arguments() -> argparse.Namespace:
    tasks = "tasks:\n" + "\n".join(f"  {name:14}{what}" for name, what in TASKS.items())
    parser = Parser(
        description=__doc__,
        epilog=tasks,
        examples=[
            "actiondet eval-multisports frame --truth multisports_GT.pkl --detections frame_detections.pkl",
            "actiondet eval-multisports video-all --truth multisports_GT.pkl --detections tubes.pkl",
            "actiondet eval-multisports video --truth multisports_GT.pkl --detections tubes.pkl --html page.html",
        ],
    )
    parser.add_argument("task", choices=TASKS, help="what to find out, see below")
    parser.add_argument("--truth", required=True, metavar="GT.pkl", help="multisports_GT.pkl or another in its layout")
    parser.add_argument("--detections", required=True, metavar="D.pkl", help="frame or video detections")
    parser.add_argument(
        "--thresholds",
        nargs="+",
        metavar="IOU",
        help="IoU thresholds, or a range such as 0.50:0.95 (default: 0.5 for boxes and errors, 0.2 0.5 for tubes; "
        "errors take one)",
    )
    parser.add_argument("--by-length", action="store_true", help="show the video-mAP by the length of tubes, too")
    parser.add_argument("--split", type=int, default=1, help="which test split, from 1; JHMDB has three")
    parser.add_argument(
        "--test-list",
        metavar="T.txt",
        help="the truth is UCF101-24's corrected annotations (pyannot.pkl), these are its test videos",
    )
    parser.add_argument(
        "--ties",
        default="stable",
        choices=["stable", "official"],
        help="order of equal scores: that of the file, or that of the official script in this numpy "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--moments",
        default="all",
        choices=PROTOCOLS,
        help="for frame detections: score all frames, as the authors do, or those with truth alone, as MMAction2 does "
        "(default: %(default)s)",
    )
    add_outputs(parser, picture="the result")
    add_page(parser)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    check_page(arguments)
    # What follows loads numpy and pandas; --help does not wait for it.
    from evaluation.ap_result import IOU_RANGES, parse_thresholds
    from evaluation.errors import InputError
    from evaluation.formats.act_tubes import read_corrected_ucf24
    from evaluation.formats.multisports import read_multisports
    from evaluation.tube_set import TubeSet

    task, ties = arguments.task, arguments.ties
    if arguments.moments != "all" and not task.startswith("frame"):
        raise InputError(
            f"{task} --moments {arguments.moments}: tubes of such frames come from link_tubes.py --moments"
        )
    if arguments.by_length and not task.startswith("video"):
        raise InputError(f"{task} --by-length: only video-mAP is shown by the length of tubes; use the task video")
    thresholds = parse_thresholds(arguments.thresholds or (["0.2", "0.5"] if task == "video" else ["0.5"]))
    if task == "video-all":
        if arguments.thresholds:
            raise InputError("video-all has its own thresholds; use the task video with --thresholds")
        thresholds = tuple(dict.fromkeys([0.2, 0.5, *(value for values in IOU_RANGES.values() for value in values)]))
    if task.endswith("errors") and arguments.html:
        raise InputError(f"{task} --html: the page of frame or video shows errors, too; use one of these tasks")
    if task.endswith("errors") and len(thresholds) > 1:
        raise InputError(f"{task} takes one threshold, found {len(thresholds)}")
    if arguments.test_list:
        truth = read_corrected_ucf24(arguments.truth, test_list=arguments.test_list)
    else:
        truth = read_multisports(arguments.truth, split=arguments.split)
    truth.check(arguments.truth)
    detections = read_detections(arguments, arguments.detections, truth)
    moments = PROTOCOLS[arguments.moments] if task.startswith("frame") else TUBES
    more: dict[str, Any] = {"moments": moments}
    by_length = ""
    result: ThresholdMapResult | ErrorBreakdown
    if task.endswith("errors"):
        from evaluation.ava_errors import find_errors

        result = find_errors(truth, detections, threshold=thresholds[0], ties=ties)
    else:
        result = score(truth, detections, thresholds, ties)
        if isinstance(detections, TubeSet) and arguments.by_length:
            from evaluation.strata import video_map_by_length

            strata = video_map_by_length(truth, detections, threshold=result.threshold, ties=ties)
            more["strata"] = strata.summary()
            by_length = f"\n\nvideo-mAP@{result.threshold:g} by length\n\n{strata}"
        if arguments.html:
            write_html(arguments, truth, detections, result)
    write_outputs(arguments, result, **more)
    print(f"moments: {moments}\n{result}{by_length}")


def read_detections(arguments: argparse.Namespace, name: str, truth: TubeTruth) -> FrameDetections | TubeSet:
    """Read the boxes or tubes of the file `name` that the task scores."""
    from evaluation.formats.multisports import read_frame_detections, read_video_detections

    if not arguments.task.startswith("frame"):
        return read_video_detections(name)
    boxes = read_frame_detections(name, truth)
    return boxes.on_annotated_frames(truth) if arguments.moments == "annotated" else boxes


def score(
    truth: TubeTruth, detections: FrameDetections | TubeSet, thresholds: Sequence[float], ties: Ties
) -> ThresholdMapResult:
    """Compute the frame-mAP of boxes or the video-mAP of tubes."""
    from evaluation.tube_scoring import tube_frame_map, video_map
    from evaluation.tube_set import TubeSet

    if isinstance(detections, TubeSet):
        return video_map(truth, detections, thresholds, ties=ties)
    return tube_frame_map(truth, detections, thresholds, ties=ties)


def write_html(
    arguments: argparse.Namespace,
    truth: TubeTruth,
    detections: FrameDetections | TubeSet,
    result: ThresholdMapResult,
) -> None:
    """Write the page of --html on the `result` that is printed."""
    from evaluation.page import write_page
    from evaluation.result_page import Thumbnail, analyze, result_page

    runs = [analyze(arguments.detections, truth, detections, result, ties=arguments.ties)]
    if arguments.against:
        others = read_detections(arguments, arguments.against, truth)
        other = score(truth, others, result.thresholds, arguments.ties)
        runs.append(analyze(arguments.against, truth, others, other, ties=arguments.ties))
    thumbnail: Thumbnail | None = None
    if arguments.videos:
        from actiondet.datasets.thumbnails import Thumbnails, frame_of_number

        thumbnail = Thumbnails(arguments.videos, truth.test_videos, frame_of_number)
    subtitle = f"truth {Path(arguments.truth).name}, {runs[0].result.metric}, IoU {runs[0].result.threshold:g}"
    page = result_page(runs, subtitle=subtitle, moment=lambda frame: f"frame {frame}", thumbnail=thumbnail)
    write_page(arguments.html, page)


if __name__ == "__main__":
    run_tool(main)
