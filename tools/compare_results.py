"""Say whether two results differ by more than chance: a paired bootstrap over videos, per action and in the mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import Parser, add_outputs, natural, number, write_outputs
from evaluation.command_line import run_tool

if TYPE_CHECKING:
    from evaluation.ap_result import ApResult


def parse_arguments() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet compare-results a.csv b.csv --truth ava_val_v2.2.csv --labels actions.pbtxt",
            "actiondet compare-results a.pkl b.pkl --truth multisports_GT.pkl",
        ],
    )
    parser.add_argument("first", metavar="A", help="detections: an AVA CSV, or a pickle of MultiSports' boxes or tubes")
    parser.add_argument("second", metavar="B", help="other detections of the same kind")
    parser.add_argument("--truth", required=True, metavar="T", help="annotated boxes (AVA CSV), or GT.pkl of tubes")
    parser.add_argument("--labels", metavar="L.pbtxt", help="the actions that count (AVA)")
    parser.add_argument("--excluded", metavar="E.csv", help="timestamps that do not count (AVA)")
    parser.add_argument("--split", type=int, default=1, help="which test split of tubes, from 1")
    parser.add_argument("--threshold", type=number, default=0.5, metavar="IOU", help="IoU of a hit (default: 0.5)")
    parser.add_argument("--rounds", type=int, default=1000, help="draws of videos (default: %(default)s)")
    parser.add_argument("--level", type=number, default=0.95, help="of the intervals (default: %(default)s)")
    parser.add_argument("--seed", type=natural, default=0, help="of the draws (default: %(default)s)")
    add_outputs(parser, what="the comparison", picture="the differences and their intervals")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # What follows loads numpy and scipy; --help does not wait for it.
    from evaluation.significance import compare_results

    tubes = Path(arguments.truth).suffix in (".pkl", ".pickle")
    first, second = results_of_tubes(arguments) if tubes else results_of_rows(arguments)
    comparison = compare_results(first, second, rounds=arguments.rounds, level=arguments.level, seed=arguments.seed)
    print(f"first:  {arguments.first}\nsecond: {arguments.second}\n")
    print(comparison)
    write_outputs(arguments, comparison, files=[arguments.first, arguments.second])


def results_of_rows(arguments: argparse.Namespace) -> list[ApResult]:
    """Both results on truth in AVA's form."""
    from evaluation import frame_map, read_action_list, read_ava_csv, read_ava_results, read_excluded
    from evaluation.errors import InputError

    if not arguments.labels:
        raise InputError("--labels is missing; expected the action list (.pbtxt) that says which actions count")
    actions, truth = read_action_list(arguments.labels), read_ava_csv(arguments.truth)
    excluded = read_excluded(arguments.excluded) if arguments.excluded else frozenset()
    return [
        frame_map(truth, read_ava_results(path), actions=actions, excluded=excluded, thresholds=[arguments.threshold])
        for path in (arguments.first, arguments.second)
    ]


def results_of_tubes(arguments: argparse.Namespace) -> list[ApResult]:
    """Both results on truth of tubes; what the files hold decides whether boxes or tubes are scored."""
    from evaluation import read_frame_detections, read_multisports, read_video_detections, tube_frame_map, video_map
    from evaluation.errors import InputError
    from evaluation.formats.multisports import holds_tubes

    paths = (arguments.first, arguments.second)
    kinds = [holds_tubes(path) for path in paths]
    if kinds[0] != kinds[1]:
        what = ["tubes" if kind else "boxes of frames" for kind in kinds]
        raise InputError(f"{paths[0]} holds {what[0]}, {paths[1]} {what[1]}; expected the same kind")
    truth = read_multisports(arguments.truth, split=arguments.split)
    truth.check(arguments.truth)
    if kinds[0]:
        return [video_map(truth, read_video_detections(path), [arguments.threshold]) for path in paths]
    return [tube_frame_map(truth, read_frame_detections(path, truth), [arguments.threshold]) for path in paths]


if __name__ == "__main__":
    run_tool(main)
