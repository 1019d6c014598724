"""Hold several training runs against each other: settings that differ, best score, time, curves."""

from __future__ import annotations

from pathlib import Path

from evaluation.arguments import Parser, add_json, write_json_to
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import check_targets


def main() -> None:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet compare-runs runs/none runs/balanced",
            "actiondet compare-runs runs/a runs/b runs/c --curves curves.png --json -",
        ],
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder of a training (its --out)")
    parser.add_argument("--curves", type=Path, metavar="PNG", help="draw loss and score of every run over the epochs")
    add_json(parser, "a record for each run")
    arguments = parser.parse_args()
    if len(arguments.runs) < 2:
        parser.error("one run has nothing to be compared with; give two or more")
    if twice := [run for place, run in enumerate(arguments.runs) if run in arguments.runs[:place]]:
        raise InputError(f"{twice[0]}: is given twice; expected different runs")
    if arguments.curves:
        check_targets([arguments.curves], source=arguments.runs[0])

    from actiondet.engine.run_comparison import compare_runs

    comparison = compare_runs(arguments.runs)
    print(comparison)
    write_json_to(arguments.json, comparison.summary())
    if arguments.curves:
        comparison.save_curves(arguments.curves)
        print(f"wrote {arguments.curves}")


if __name__ == "__main__":
    run_tool(main)
