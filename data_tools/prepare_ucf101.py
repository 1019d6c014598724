"""Check UCF101's videos and lay them out, UCF101-24's too: `python -m data_tools.prepare_ucf101 --help`."""

from __future__ import annotations

from pathlib import Path

from data_tools.preparing.arguments import check, coding_of, do_jobs, make_parser
from evaluation.command_line import run_tool

_SOURCES = """\
  videos, splits  https://www.crcv.ucf.edu/data/UCF101.php (UCF101.rar, UCF101TrainTestSplits-RecognitionTask.zip)
  UCF101-24       https://github.com/gurkirt/corrected-UCF101-Annots (pyannot.pkl)"""
_INDEX = "classInd.txt"


def main() -> int:
    """Parse the command line, lay out lists and videos, check that each video opens."""
    parser = make_parser(
        "Link (or copy) each listed video to UCF-101/<Class>/<video>.avi if it opens, and lay the split files into "
        "ucfTrainTestlist/, where configs/ucf101 reads them. With --tubes, the frames and sizes of "
        "its videos are checked, and annotations/ucf101_24_GT.pkl is written in MultiSports' layout.",
        _SOURCES,
        "data/ucf101",
        example="actiondet prepare-ucf101 --videos UCF-101 --annotations UCF101TrainTestSplits-RecognitionTask.zip",
        annotations="the split files, a folder or zip of them",
        only_links=True,
    )
    parser.add_argument("--tubes", type=Path, metavar="PKL", help="pyannot.pkl of UCF101-24")
    parser.add_argument("--split", type=int, nargs="+", choices=(1, 2, 3), default=[1, 2, 3], help="default: all three")
    arguments = parser.parse_args()
    check(arguments)

    from data_tools.preparing.given import lay_files
    from data_tools.preparing.tube_sets import describe, plan_videos
    from data_tools.preparing.ucf101 import listed_videos, read_tubes, split_files
    from evaluation.formats.multisports import write_multisports

    lists = arguments.out / "ucfTrainTestlist"
    lay_files(arguments.annotations, [_INDEX, *split_files(arguments.split)], lists)
    listed = listed_videos(lists, arguments.split)
    truth = None if arguments.tubes is None else read_tubes(arguments.tubes, lists)
    names = [*listed, *(() if truth is None else (*truth.train_videos, *truth.test_videos))]
    jobs = plan_videos(
        names, arguments.videos, out=arguments.out, below="UCF-101", coding=coding_of(arguments), truth=truth, slack=1
    )
    summary = do_jobs(arguments, jobs, "videos")
    if truth is not None:
        target = arguments.out / "annotations" / "ucf101_24_GT.pkl"
        write_multisports(target, truth)
        print(f"{target}: {describe(truth, 'UCF-101', summary.ready)}")
    return summary.exit_code(allow_missing=arguments.allow_missing)


if __name__ == "__main__":
    run_tool(main)
