"""Cut AVA's films and lay out its annotations: `python -m data_tools.prepare_ava --help`."""

from __future__ import annotations

from data_tools.preparing.arguments import check, coding_of, do_jobs, make_parser
from evaluation.command_line import run_tool

_SOURCES = """\
  annotations  https://research.google.com/ava/download.html (ava_v2.1.zip, ava_v2.2.zip)
               https://s3.amazonaws.com/ava-dataset/annotations/ava_v2.2.zip
  films        https://s3.amazonaws.com/ava-dataset/trainval/<file name>, names in
               https://s3.amazonaws.com/ava-dataset/annotations/ava_file_names_trainval_v2.1.txt
  proposals    https://download.openmmlab.com/mmaction/dataset/ava/ava_dense_proposals_train.FAIR.recall_93.9.pkl
               https://download.openmmlab.com/mmaction/dataset/ava/ava_dense_proposals_val.FAIR.recall_93.9.pkl"""


def main() -> int:
    """Parse the command line, lay out the annotations, make the films, check their frames."""
    parser = make_parser(
        "Cut seconds 900 to 1801 of each film at 30 frames a second, which is 27,030 frames, into videos/<id>.mp4 (or "
        "frames/<id>/img_00001.jpg ...), and lay the annotation files into annotations/, where configs/ava21 and "
        "configs/ava22 read them. Run it once for each version; the films are made once.",
        _SOURCES,
        "data/ava",
        example="actiondet prepare-ava --videos films --annotations ava_v2.2.zip proposals",
        annotations="the official zip, a folder, or files",
    )
    parser.add_argument("--version", choices=("2.1", "2.2"), default="2.2", help="of the annotations (default 2.2)")
    parser.add_argument("--frames", action="store_true", help="make folders of pictures instead of videos")
    parser.add_argument("--own-rate", action="store_true", help="keep the films' own frames instead of 30 a second")
    parser.add_argument(
        "--short-side", type=int, metavar="PIXELS", help="reduce to it (default: keep the size, which the mAP needs)"
    )
    arguments = parser.parse_args()
    if arguments.frames and arguments.own_rate:
        parser.error("--own-rate is for videos: pictures have no times of their own")
    if arguments.frames and (arguments.gop or arguments.recode):
        parser.error("--gop and --recode are for videos; --frames makes pictures")
    check(arguments)

    from data_tools.preparing.ava import FRAMES, annotated_videos, lay_annotations, plan_films

    annotations = arguments.out / "annotations"
    lacking = lay_annotations(arguments.annotations, arguments.version, annotations)
    jobs = plan_films(
        annotated_videos(arguments.version, annotations),
        arguments.videos,
        out=arguments.out,
        pictures=arguments.frames,
        own_rate=arguments.own_rate,
        short_side=arguments.short_side,
        coding=coding_of(arguments),
    )
    summary = do_jobs(arguments, jobs, "films")
    if not arguments.own_rate:
        counts = {outcome.name: outcome.frames for outcome in summary.outcomes if outcome.ready}
        short = [f"{name} ({count})" for name, count in counts.items() if count != FRAMES]
        print(f"{len(counts) - len(short)} of {len(counts)} have all {FRAMES} frames" + _but(short))
    if lacking:
        print(f"not given yet, and read by the configurations: {', '.join(lacking)}")
    if arguments.frames:
        print(f"to train on pictures: data.videos={arguments.out}/frames data.pictures.fps=30")
    return summary.exit_code(allow_missing=arguments.allow_missing)


def _but(short: list[str]) -> str:
    """Name the films that end early, the first few of them."""
    return f"; these films end up to a second early: {', '.join(short[:10])}" if short else ""


if __name__ == "__main__":
    run_tool(main)
