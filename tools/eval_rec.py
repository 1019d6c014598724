"""Score the dump of tools/test_rec.py again: python tools/eval_rec.py result.pkl [--json J] [--per-class]."""

from __future__ import annotations

from evaluation.arguments import Parser, add_outputs, write_outputs
from evaluation.command_line import run_tool


def main() -> None:
    parser = Parser(
        description="Score the dump of tools/test_rec.py again.",
        examples=[
            "actiondet eval-rec scores.pkl --per-class",
        ],
    )
    parser.add_argument("dump", help="file of test_rec.py --dump")
    parser.add_argument("--per-class", action="store_true", help="also print each class, worst first")
    add_outputs(parser, picture="the accuracy of each class")
    arguments = parser.parse_args()

    from evaluation.formats.video_scores import read_video_scores
    from evaluation.recognition import recognition_accuracy

    scores = read_video_scores(arguments.dump)
    result = recognition_accuracy(scores.scores, scores.labels, names=scores.classes)
    if arguments.per_class:
        for row in result.per_class.sort_values("accuracy").itertuples():
            print(f"{row.accuracy:.4f}  {row.videos:5d}  {row.name}")
    print(f"views: {scores.views[0]}x{scores.views[1]}, {scores.average}")
    print(result)
    write_outputs(arguments, result)


if __name__ == "__main__":
    run_tool(main)
