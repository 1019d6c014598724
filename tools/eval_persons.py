"""Score person boxes against annotations: python tools/eval_persons.py --truth T.csv --persons boxes.pkl.

AP and recall at IoU 0.5, 0.75 and 0.9 by pycocotools, and the largest action mAP that these boxes allow.
"""

from __future__ import annotations

import argparse

from evaluation.arguments import Parser, add_outputs, number, write_outputs
from evaluation.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    parser = Parser(
        description="Score person boxes: AP and recall, which bounds the action mAP.",
        examples=[
            "actiondet eval-persons --truth ava_val_v2.2.csv --persons proposals.pkl --threshold 0.9",
        ],
    )
    parser.add_argument("--truth", required=True, metavar="T.csv", help="annotated boxes, AVA format")
    parser.add_argument("--persons", required=True, metavar="FILE", help="dense-proposal pkl or PySlowFast's csv")
    parser.add_argument("--excluded", metavar="E.csv", help="timestamps that do not count")
    parser.add_argument("--labels", metavar="L.pbtxt", help="the actions that count for the largest mAP (default: all)")
    parser.add_argument(
        "--threshold", type=number, default=0.0, metavar="S", help="leave boxes of a lower score out (default: 0)"
    )
    add_outputs(parser, picture="precision-recall curves")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # What follows loads pandas; --help does not wait for it.
    from evaluation import PersonBoxes, person_ap, read_action_list, read_ava_csv, read_excluded, read_proposals

    persons = [
        PersonBoxes(
            each.key, each.boxes[each.scores >= arguments.threshold], each.scores[each.scores >= arguments.threshold]
        )
        for each in read_proposals(arguments.persons).values()
    ]
    result = person_ap(
        read_ava_csv(arguments.truth),
        persons,
        excluded=read_excluded(arguments.excluded) if arguments.excluded else frozenset(),
        actions=read_action_list(arguments.labels).ids if arguments.labels else None,
    )
    print(result)
    write_outputs(arguments, result)


if __name__ == "__main__":
    run_tool(main)
