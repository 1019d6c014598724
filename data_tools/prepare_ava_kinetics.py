"""Cut Kinetics clips and merge their annotations with AVA's: `python -m data_tools.prepare_ava_kinetics --help`."""

from __future__ import annotations

from pathlib import Path

from data_tools.preparing.arguments import check, coding_of, do_jobs, make_parser
from evaluation.command_line import run_tool

_SOURCES = """\
  annotations  https://storage.googleapis.com/deepmind-media/Datasets/ava_kinetics_v1_0.tar.gz
  clips        https://github.com/cvdfoundation/kinetics-dataset (Kinetics-700)
  tables       https://storage.googleapis.com/deepmind-media/Datasets/kinetics700.tar.gz"""


def main() -> int:
    """Parse the command line, make the clips, merge the annotations."""
    parser = make_parser(
        "Make the annotated Kinetics-700 clips as videos/<id>_<start>_<end>.mp4 with every frame of theirs, link AVA's "
        "films beside them, and write annotations/ as configs/ava_kinetics reads them: AVA and Kinetics in one file "
        "for training, and for validation AVA (ava_val_v2.2.csv), Kinetics (kinetics_val_v1.0.csv) or both "
        "(ava_kinetics_val_v1.0.csv). Moments keep their time, fractions of seconds too.",
        _SOURCES,
        "data/ava_kinetics",
        example="actiondet prepare-ava-kinetics --videos clips --annotations ava_kinetics_v1_0.tar.gz --ava data/ava",
        annotations="ava_kinetics_v1_0.tar.gz, or its files",
    )
    parser.add_argument(
        "--ava", type=Path, default=Path("data/ava"), metavar="DIR", help="what prepare_ava made (default data/ava)"
    )
    parser.add_argument(
        "--table", type=Path, nargs="+", metavar="CSV", help="Kinetics-700's tables, to cut from whole videos <id>.mp4"
    )
    parser.add_argument(
        "--proposals", type=Path, nargs="+", default=[], metavar="FILE", help="person boxes of the Kinetics clips"
    )
    parser.add_argument("--short-side", type=int, metavar="PIXELS", help="reduce clips to it (default: keep the size)")
    arguments = parser.parse_args()
    check(arguments)

    from data_tools.preparing import ava_kinetics, merging
    from evaluation.formats.ava_kinetics import read_kinetics_boxes
    from evaluation.formats.kinetics_table import read_kinetics_table
    from evaluation.formats.person_boxes import read_proposals

    official = arguments.out / "annotations" / "official"
    films = merging.lay_official(arguments.annotations, arguments.ava, official)
    kinetics = [read_kinetics_boxes(official / name) for name in merging.KINETICS_FILES]
    proposals = {key: persons for path in arguments.proposals for key, persons in read_proposals(path).items()}
    table = [row for path in arguments.table for row in read_kinetics_table(path)] if arguments.table else None
    keys = [key for truth in kinetics for key in merging.moments_of(truth)]
    clips = ava_kinetics.find_clips(arguments.videos, arguments.out, dict.fromkeys(key.video for key in keys), table)
    chosen = ava_kinetics.choose_clips(keys, clips)
    jobs = ava_kinetics.plan_clips(keys, clips, chosen, arguments.short_side, coding_of(arguments))
    jobs += ava_kinetics.plan_films(films, arguments.ava / "videos", arguments.out)
    summary = do_jobs(arguments, jobs, "clips")
    if summary.stopped is None:
        clip_of = {key: clip.name for key, clip in chosen.items() if f"videos/{clip.name}.mp4" in summary.ready}
        there = {Path(name).stem for name in summary.ready}
        annotations = arguments.out / "annotations"
        print(merging.write_merged(annotations, official, kinetics, clip_of, there & set(films), proposals))
    return summary.exit_code(allow_missing=arguments.allow_missing)


if __name__ == "__main__":
    run_tool(main)
