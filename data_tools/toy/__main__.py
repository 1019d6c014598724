"""Make the toy data set: `python -m data_tools.toy --out DIR [--seed N] [--size S] [--parts all|...]`."""

from __future__ import annotations

import os
from pathlib import Path

from data_tools.toy.sizes import PARTS, SIZES
from evaluation.arguments import Parser
from evaluation.command_line import run_tool
from evaluation.errors import InputError


def main() -> None:
    """Parse the command line and make the set."""
    parser = Parser(
        description="Make a small data set of cartoon people in AVA, MultiSports, Kinetics and UCF101 formats.",
        examples=[
            "actiondet toy --out toy_data --parts detection",
        ],
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to; made if missing")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same set (default 0)")
    parser.add_argument(
        "--size",
        choices=list(SIZES),
        default="small",
        help="default small: about 100 films of each form; fast: people on skates; recall: people with a past; "
        "relations: people in pairs",
    )
    parser.add_argument(
        "--parts",
        choices=["all", *PARTS],
        default="all",
        help="detection: films as AVA has them; tubes: as MultiSports; recognition: clips as Kinetics and UCF101",
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="default: one for each CPU core"
    )
    arguments = parser.parse_args()
    if arguments.seed < 0 or arguments.processes < 1:
        raise InputError("--seed must be 0 or more and --processes 1 or more")
    parts = PARTS if arguments.parts == "all" else (arguments.parts,)
    if SIZES[arguments.size].detection_alone:
        if arguments.parts not in ("all", "detection"):
            raise InputError(f"--parts {arguments.parts}: --size {arguments.size} has the detection part alone")
        parts = ("detection",)

    from data_tools.toy.ava_files import summary
    from data_tools.toy.making import make

    films = make(arguments.out, seed=arguments.seed, size=arguments.size, processes=arguments.processes, parts=parts)
    if "detection" in parts:
        print(f"{arguments.out}: {summary(films)}")
    if "tubes" in parts:
        print("{}: tubes: {} training and {} validation videos".format(arguments.out, *SIZES[arguments.size].tubes))
    if "recognition" in parts:
        train, val = SIZES[arguments.size].count_clips()
        print(f"{arguments.out}: recognition: {train} training and {val} validation clips")


if __name__ == "__main__":
    run_tool(main)
