"""Check MultiSports' videos and lay them out: `python -m data_tools.prepare_multisports --help`."""

from __future__ import annotations

from data_tools.preparing.arguments import check, coding_of, do_jobs, make_parser
from evaluation.command_line import run_tool

_SOURCES = """\
  videos, annotations  https://deeperaction.github.io/datasets/multisports.html
                       https://huggingface.co/datasets/MCG-NJU/MultiSports"""
_TRUTH = "multisports_GT.pkl"
_PROPOSALS = tuple(f"multisports_dense_proposals_{part}.recall_96.13.pkl" for part in ("train", "val"))


def main() -> int:
    """Parse the command line, lay out annotations and videos, check each video against its annotations."""
    parser = make_parser(
        "Link (or copy) each annotated video to trimmed_videos/<sport>/<video>.mp4 if it has the frames and the size "
        "that multisports_GT.pkl says, and lay the annotation files into annotations/, where configs/multisports "
        "reads them.",
        _SOURCES,
        "data/multisports",
        example="actiondet prepare-multisports --videos trainval --annotations multisports_GT.pkl proposals",
        annotations=f"{_TRUTH} and person boxes",
        only_links=True,
    )
    arguments = parser.parse_args()
    check(arguments)

    from data_tools.preparing.given import lay_files
    from data_tools.preparing.tube_sets import check_splits, describe, plan_videos
    from evaluation.errors import InputError
    from evaluation.formats.multisports import read_multisports

    there = lay_files(arguments.annotations, (_TRUTH, *_PROPOSALS), arguments.out / "annotations")
    if _TRUTH not in there:
        raise InputError(f"--annotations: {_TRUTH} lacks; expected the official file, or a folder or archive with it")
    truth = read_multisports(there[_TRUTH])
    jobs = plan_videos(
        check_splits([truth], there[_TRUTH]),
        arguments.videos,
        out=arguments.out,
        below="trimmed_videos",
        coding=coding_of(arguments),
        truth=truth,
    )
    summary = do_jobs(arguments, jobs, "videos")
    print(describe(truth, "trimmed_videos", summary.ready))
    if lacking := [name for name in _PROPOSALS if name not in there]:
        print(f"not given yet, and read by the configurations: {', '.join(lacking)}")
    return summary.exit_code(allow_missing=arguments.allow_missing)


if __name__ == "__main__":
    run_tool(main)
