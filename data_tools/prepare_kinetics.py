"""Cut and shrink Kinetics clips, and list them: `python -m data_tools.prepare_kinetics --help`."""

from __future__ import annotations

from pathlib import Path

from data_tools.preparing.arguments import check, coding_of, do_jobs, make_parser
from evaluation.command_line import run_tool

_SOURCES = """\
  tables  https://storage.googleapis.com/deepmind-media/Datasets/kinetics400.tar.gz
          https://storage.googleapis.com/deepmind-media/Datasets/kinetics700_2020.tar.gz
  clips   https://github.com/cvdfoundation/kinetics-dataset"""


def main() -> int:
    """Parse the command line, make the clips, write the lists."""
    parser = make_parser(
        "Make clips of Kinetics-400, 600 or 700 with a short side of 320 pixels, and the files that the configurations "
        "read: train.txt, val.txt, classes.txt. A source <id>_<start:06d>_<end:06d>.mp4 is a clip, a source <id>.mp4 "
        "a whole video from which the clip is cut.",
        _SOURCES,
        "data/kinetics400",
        example="actiondet prepare-kinetics --videos downloads --annotations train.csv val.csv",
    )
    parser.add_argument(
        "--annotations", type=Path, nargs="+", required=True, metavar="CSV", help="label,youtube_id,time_start,..."
    )
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="names of the labels in order (default: alphabetical)"
    )
    parser.add_argument(
        "--short-side", type=int, default=320, metavar="PIXELS", help="reduce to it (default 320); 0 keeps the size"
    )
    parser.add_argument("--already-cut", action="store_true", help="the sources <id>.mp4 are the clips themselves")
    arguments = parser.parse_args()
    arguments.short_side = arguments.short_side or None
    check(arguments)

    from data_tools.preparing.kinetics import choose_classes, plan_clips, write_lists
    from evaluation.formats.kinetics_table import read_kinetics_table

    rows = [row for path in arguments.annotations for row in read_kinetics_table(path)]
    classes = choose_classes(rows, arguments.classes, arguments.out / "classes.txt")
    jobs = plan_clips(
        rows,
        arguments.videos,
        out=arguments.out,
        short_side=arguments.short_side,
        already_cut=arguments.already_cut,
        coding=coding_of(arguments),
    )
    summary = do_jobs(arguments, jobs, "clips")
    if summary.stopped is None:
        written = write_lists(arguments.out, rows, summary.ready, classes)
        print(f"wrote {', '.join(map(str, written))}")
    return summary.exit_code(allow_missing=arguments.allow_missing)


if __name__ == "__main__":
    run_tool(main)
