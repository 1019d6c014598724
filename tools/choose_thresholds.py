"""Choose the score from which on each action is called: the best F1 on validation, at IoU 0.5.

Writes a JSON file {"action": score, ...} that the demo's events read (`actiondet demo --event-thresholds`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evaluation.arguments import STANDARD_OUTPUT, Parser, write_json_to
from evaluation.command_line import run_tool
from evaluation.errors import InputError, some
from evaluation.files import check_targets


def parse_arguments() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet choose-thresholds runs/own/test/detections.csv --truth own_data/ava_val.csv "
            "--labels own_data/action_list.pbtxt --out thresholds.json"
        ],
    )
    parser.add_argument("detections", metavar="D.csv", help="scored boxes of the validation videos, AVA format")
    parser.add_argument("--truth", required=True, metavar="T.csv", help="annotated boxes, AVA format")
    parser.add_argument("--labels", required=True, metavar="L.pbtxt", help="the actions")
    parser.add_argument("--excluded", metavar="E.csv", help="timestamps that do not count")
    parser.add_argument(
        "--out", default="thresholds.json", metavar="FILE", help="%(default)s; '-': standard output, and nothing else"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.out != STANDARD_OUTPUT:
        check_targets([arguments.out], source=arguments.detections)

    import numpy as np

    from evaluation import calibrate, frame_map, read_action_list, read_ava_csv, read_ava_results, read_excluded

    actions = read_action_list(arguments.labels)
    excluded = read_excluded(arguments.excluded) if arguments.excluded else frozenset()
    result = frame_map(
        read_ava_csv(arguments.truth), read_ava_results(arguments.detections), actions=actions, excluded=excluded
    )
    found = calibrate(result)
    chosen = {
        name: score
        for name, score in zip(result.names, found.best_threshold.tolist(), strict=True)
        if not np.isnan(score)
    }
    if not chosen:
        raise InputError(f"{arguments.detections}: no detection of any action is a hit; a threshold cannot be chosen")
    without = [name for name in result.names if name not in chosen]
    if without:
        print(f"without a hit, and without a threshold: {some(without)}", file=sys.stderr)
    if arguments.out != STANDARD_OUTPUT:
        print(found)
    write_json_to(arguments.out, chosen)
    if arguments.out != STANDARD_OUTPUT:
        print(f"\nwrote {Path(arguments.out)}: {len(chosen)} actions")


if __name__ == "__main__":
    run_tool(main)
