"""Score AVA-style detections: frame-mAP at IoU 0.5, exactly as the official tool computes it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings

from evaluation.arguments import Parser, add_json, json_target
from evaluation.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet eval-ava --truth ava_val_v2.2.csv --detections detections.csv --labels actions.pbtxt",
            "actiondet eval-ava --truth t.csv --detections d.csv --labels l.pbtxt --explain --plot per_class.png",
        ],
    )
    parser.add_argument("--truth", required=True, metavar="T.csv", help="annotated boxes, AVA format")
    parser.add_argument("--detections", required=True, metavar="D.csv", help="scored boxes, AVA format")
    parser.add_argument("--labels", required=True, metavar="L.pbtxt", help="the actions that count")
    parser.add_argument("--excluded", metavar="E.csv", help="moments that do not count")
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
    parser.add_argument("--explain", action="store_true", help="show how the mAP moves from protocol to protocol")
    add_json(parser)
    parser.add_argument("--csv", metavar="C.csv", help="write the table of actions")
    parser.add_argument("--plot", metavar="P.png", help="draw AP per action and precision-recall curves")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # What follows loads pandas; --help does not wait for it.
    from evaluation import explain, frame_map, read_action_list, read_ava_csv, read_ava_results, read_excluded
    from evaluation.explanation import ExplainedStep, explanation_text

    with warnings.catch_warnings(record=True) as odd:
        warnings.simplefilter("always", UserWarning)
        actions = read_action_list(arguments.labels)
        truth = read_ava_csv(arguments.truth)
        excluded = read_excluded(arguments.excluded) if arguments.excluded else frozenset()
        detections = read_ava_results(arguments.detections)
    for warning in odd:
        print(f"warning: {warning.message}", file=sys.stderr)
    result = frame_map(
        truth, detections, actions=actions, excluded=excluded, protocol=arguments.protocol, ties=arguments.ties
    )
    steps: tuple[ExplainedStep, ...] = ()
    if arguments.explain:
        steps = explain(truth, detections, actions=actions, excluded=excluded, ties=arguments.ties)
        print(explanation_text(steps), end="\n\n")
    print(result)
    if arguments.json:
        with json_target(arguments.json) as path:
            result.to_json(path, explanation=[dataclasses.asdict(step) for step in steps])
    if arguments.csv:
        result.to_csv(arguments.csv)
    if arguments.plot:
        result.plot(arguments.plot)


if __name__ == "__main__":
    run_tool(main)
