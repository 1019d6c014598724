"""Score AVA-style detections: frame-mAP, at IoU 0.5 exactly as the official tool computes it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.arguments import Parser, add_outputs, add_page, check_page, number, write_outputs
from evaluation.command_line import run_tool

if TYPE_CHECKING:
    from actiondet.datasets.thumbnails import Thumbnails
    from evaluation import DetectionRows, FrameMapResult, TruthRows


def parse_arguments() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet eval-ava --truth ava_val_v2.2.csv --detections detections.csv --labels actions.pbtxt",
            "actiondet eval-ava --truth t.csv --detections d.csv --labels l.pbtxt --explain --plot per_class.png",
            "actiondet eval-ava --truth t.csv --detections d.csv --labels l.pbtxt --errors --by size",
            "actiondet eval-ava --truth t.csv --detections d.csv --labels l.pbtxt --html page.html --videos films",
        ],
    )
    parser.add_argument("--truth", required=True, metavar="T.csv", help="annotated boxes, AVA format")
    parser.add_argument("--detections", required=True, metavar="D.csv", help="scored boxes, AVA format")
    parser.add_argument("--labels", required=True, metavar="L.pbtxt", help="the actions that count")
    parser.add_argument("--excluded", metavar="E.csv", help="timestamps that do not count")
    parser.add_argument(
        "--protocol",
        default="official",
        choices=["official", "pyslowfast", "mmaction2"],
        help="whose rules to follow (default: %(default)s)",
    )
    parser.add_argument(
        "--ties",
        default="stable",
        choices=["stable", "official"],
        help="order of equal scores: the same on every machine, or that of the official tool in this numpy "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--thresholds",
        nargs="+",
        default=["0.5"],
        metavar="IOU",
        help="IoUs that a hit needs, or a range such as 0.50:0.95 (default: 0.5)",
    )
    parser.add_argument("--errors", action="store_true", help="show where the AP is lost, and what fixing would give")
    parser.add_argument(
        "--by", choices=["size", "people"], help="show the mAP by size of person, or by number of people in the frame"
    )
    parser.add_argument(
        "--calibration",
        action="store_true",
        help="show how well scores agree with the share of hits, and each action's best threshold with its F1",
    )
    parser.add_argument(
        "--confusion", action="store_true", help="show which actions are taken for which others, where people are found"
    )
    parser.add_argument("--explain", action="store_true", help="show how the mAP moves from protocol to protocol")
    add_outputs(parser, picture="AP per action and precision-recall curves")
    add_page(parser)
    parser.add_argument(
        "--video-start",
        type=number,
        default=900.0,
        metavar="SECONDS",
        help="the time in the annotations at which the files of --videos begin (default: 900, as AVA is cut)",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    check_page(arguments)
    # What follows loads pandas; --help does not wait for it.
    from evaluation import frame_map, read_action_list, read_ava_csv, read_ava_results, read_excluded
    from evaluation.ap_result import parse_thresholds

    thresholds = parse_thresholds(arguments.thresholds)
    with warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always", UserWarning)
        actions = read_action_list(arguments.labels)
        truth = read_ava_csv(arguments.truth)
        excluded = read_excluded(arguments.excluded) if arguments.excluded else frozenset()
        detections = read_ava_results(arguments.detections)
    for warning in odd:
        print(f"warning: {warning.message}", file=sys.stderr)
    scoring: dict[str, Any] = {"actions": actions, "excluded": excluded, "ties": arguments.ties}
    result = frame_map(truth, detections, **scoring, protocol=arguments.protocol, thresholds=thresholds)
    more: dict[str, Any] = {}
    # What follows loads more modules, each where it is asked for.
    if arguments.explain:
        from evaluation.explanation import explain, explanation_text

        steps = explain(truth, detections, **scoring)
        more["explanation"] = [dataclasses.asdict(step) for step in steps]
        print(explanation_text(steps), end="\n\n")
    print(result)
    if arguments.by:
        from evaluation.strata import frame_map_by

        by = {"protocol": arguments.protocol, "threshold": result.threshold}
        strata = frame_map_by(arguments.by, truth, detections, **scoring, **by)
        more["strata"] = strata.summary()
        print(f"\nmAP@{result.threshold:g} by {arguments.by}\n\n{strata}")
    if arguments.errors:
        from evaluation.ava_errors import action_errors

        errors = action_errors(truth, detections, **scoring, threshold=result.threshold)
        more["errors"] = errors.summary()
        print(f"\n{errors}")
    if arguments.calibration:
        from evaluation.calibration import calibrate

        calibration = calibrate(result)
        more["calibration"] = calibration.summary()
        print(f"\n{calibration}")
    if arguments.confusion:
        from evaluation.confusion import confusion_of

        confusion = confusion_of(truth, detections, actions=actions, excluded=excluded, iou=result.threshold)
        more["confusion"] = confusion.summary()
        print(f"\n{confusion}")
    write_outputs(arguments, result, **more)
    if arguments.html:
        write_html(arguments, truth, detections, result, scoring)


def write_html(
    arguments: argparse.Namespace,
    truth: TruthRows,
    detections: DetectionRows,
    result: FrameMapResult,
    scoring: dict[str, Any],
) -> None:
    """Write the page of --html on the `result` that was printed."""
    from evaluation import frame_map, read_ava_results
    from evaluation.page import write_page
    from evaluation.result_page import analyze, result_page

    runs = [analyze(arguments.detections, truth, detections, result, **scoring)]
    if arguments.against:
        rows = read_ava_results(arguments.against)
        other = frame_map(truth, rows, **scoring, protocol=arguments.protocol, thresholds=result.thresholds)
        runs.append(analyze(arguments.against, truth, rows, other, **scoring))
    thumbnail: Thumbnails | None = None
    if arguments.videos:
        from actiondet.datasets.thumbnails import Thumbnails, frame_at_time

        films = [str(name) for name in truth.video.categories]
        thumbnail = Thumbnails(arguments.videos, films, frame_at_time(round(arguments.video_start * 1e6)))
    subtitle = f"truth {Path(arguments.truth).name}, protocol {arguments.protocol}, IoU {runs[0].result.threshold:g}"
    page = result_page(runs, subtitle=subtitle, moment=lambda us: f"{us / 1e6:g} s", thumbnail=thumbnail)
    write_page(arguments.html, page)
    if thumbnail is not None and not thumbnail.taken:
        print("warning: no video shows the moments of the mistakes; is --video-start right?", file=sys.stderr)


if __name__ == "__main__":
    run_tool(main)
