"""Check JHMDB's videos and lay them out: `python -m data_tools.prepare_jhmdb --help`."""

from __future__ import annotations

from data_tools.preparing.arguments import check, coding_of, do_jobs, make_parser
from evaluation.command_line import run_tool

_SOURCES = """\
  videos  http://jhmdb.is.tue.mpg.de (JHMDB_video.zip)
  truth   JHMDB-GT.pkl, from https://github.com/MCG-NJU/MOC-Detector"""
_TRUTH = "JHMDB-GT.pkl"
_SPLITS = (1, 2, 3)


def main() -> int:
    """Parse the command line, lay out annotations and videos, check each video against its annotations."""
    parser = make_parser(
        "Link (or copy) each annotated video to videos/<class>/<video>.avi if it has the frames and the size that "
        "JHMDB-GT.pkl says, and lay that file into annotations/. It has three splits.",
        _SOURCES,
        "data/jhmdb",
        example="actiondet prepare-jhmdb --videos ReCompress_Videos --annotations JHMDB-GT.pkl",
        annotations=_TRUTH,
        only_links=True,
    )
    arguments = parser.parse_args()
    check(arguments)

    from data_tools.preparing.given import lay_files
    from data_tools.preparing.tube_sets import check_splits, describe, plan_videos
    from evaluation.errors import InputError
    from evaluation.formats.act_tubes import read_act_tubes

    there = lay_files(arguments.annotations, (_TRUTH,), arguments.out / "annotations")
    if _TRUTH not in there:
        raise InputError(f"--annotations: {_TRUTH} lacks; expected the file, or a folder or archive with it")
    truths = [read_act_tubes(there[_TRUTH], split=split) for split in _SPLITS]
    jobs = plan_videos(
        check_splits(truths, there[_TRUTH]),
        arguments.videos,
        out=arguments.out,
        below="videos",
        coding=coding_of(arguments),
        truth=truths[0],
    )
    summary = do_jobs(arguments, jobs, "videos")
    for split, truth in zip(_SPLITS, truths, strict=True):
        print(f"split {split}: {describe(truth, 'videos', summary.ready)}")
    return summary.exit_code(allow_missing=arguments.allow_missing)


if __name__ == "__main__":
    run_tool(main)
