"""Find the persons of videos: python tools/detect_persons.py VIDEOS --persons ssd --moments 1s --out boxes.pkl.

VIDEOS is a folder, a video, or a text file with a path on each line. The form of the result is dense proposals as AVA
has them ({"video,0902": (n, 5)}), PySlowFast's CSV, or MultiSports' pickle. A run that was stopped goes on when the
command is repeated, and a finished one does nothing; FILE.search.json says what made FILE. A video that cannot be read
is left out and named (exit code 1).
Several processes: torchrun --nproc-per-node N tools/detect_persons.py VIDEOS ...
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from actiondet.command_line import add_import
from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool
from evaluation.errors import InputError

# Whoever reads the boxes chooses again by score, so what is found with little certainty is written, too.
THRESHOLDS = {"stored": "0"}
OTHERS_THRESHOLD = "0.05"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description="Find the persons of videos and write their boxes.",
        examples=[
            "actiondet detect-persons videos --persons torchvision --moments 1s --start 900 --out proposals.pkl",
            "actiondet detect-persons street.mp4 threshold=0.5 --persons ssd --moments 0.5s --out boxes.csv",
        ],
    )
    parser.add_argument("videos", type=Path, metavar="VIDEOS", help="folder, video, or text file with a path a line")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="key=value",
        help="of the detector: threshold=T (default: 0.05), label=NAME or ID (person), "
        "model=FILE and how it is used (onnx), model=NAME and weights=F (torchvision), "
        "config=YAML and weights=F (detectron2), boxes=FILE (stored)",
    )
    parser.add_argument("--persons", required=True, metavar="NAME", help="ssd, torchvision, detectron2, onnx, stored")
    parser.add_argument(
        "--moments",
        required=True,
        metavar="M",
        help="1s, 0.5s, ... (regular), all (every frame), or an AVA-style CSV file that lists them",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=".csv for PySlowFast's form, else .pkl")
    parser.add_argument(
        "--form",
        choices=["ava", "pyslowfast", "multisports", "mmaction2"],
        help="keys by seconds, ava: 'video,0902' (default), pyslowfast: CSV; by frames from 1, multisports: "
        "'v_x_c001,0001' (its authors), mmaction2: 'sport/v_x_c001.mp4,0001'",
    )
    parser.add_argument("--start", type=number, default=0.0, metavar="S", help="time of the first frame; 900 for AVA")
    parser.add_argument(
        "--kinetics-clips", action="store_true", help="files called <id>_<start>_<end> begin at their own second"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that the paths of a text file lie in")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="frames looked at together (default: 8)")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it is there")
    add_import(parser)
    parser.add_argument("--config", metavar="C", help="short for config=C")
    parser.add_argument("--weights", metavar="W", help="short for weights=W")
    arguments = parser.parse_intermixed_args()
    arguments.form = arguments.form or ("pyslowfast" if arguments.out.suffix == ".csv" else "ava")
    if (arguments.form == "pyslowfast") != (arguments.out.suffix == ".csv"):
        parser.error(f"--form {arguments.form} and --out {arguments.out}: .csv is for pyslowfast, and for it alone")
    if arguments.batch < 1:
        parser.error(f"--batch {arguments.batch}: expected 1 or more")
    return arguments


def main() -> int:
    """Run the search."""
    arguments = parse_arguments()
    settings = detector_settings(arguments)

    from actiondet.persons.key_frames import parse_moments
    from actiondet.persons.videos import FRAME_NUMBERED, choose_videos

    videos = choose_videos(arguments.videos, form=arguments.form, root=arguments.root)
    moments = parse_moments(
        arguments.moments,
        start=arguments.start,
        frame_numbers=arguments.form in FRAME_NUMBERED,
        kinetics_clips=arguments.kinetics_clips,
    )
    videos, absent = moments.split(videos)

    from actiondet.config import import_modules

    import_modules(arguments.modules)

    from actiondet.engine.devices import launch, leave
    from actiondet.engine.person_search import search_videos
    from actiondet.persons.build import parse_persons

    persons = parse_persons(arguments.persons, settings)
    fabric = launch()
    report = search_videos(
        videos,
        persons,
        moments,
        out=arguments.out,
        fabric=fabric,
        batch=arguments.batch,
        overwrite=arguments.overwrite,
    )
    leave()
    if not fabric.is_global_zero:
        return 0
    print(report)
    for fault in report.faults:
        print(f"left out: {fault}", file=sys.stderr)
    if absent:
        print(
            f"{arguments.moments} lists {len(absent)} videos that are not there: {', '.join(absent)}", file=sys.stderr
        )
    if report.faults:
        print(
            f"{len(report.faults)} of {len(videos)} videos could not be searched; correct them and repeat the command, "
            "which then searches only these",
            file=sys.stderr,
        )
    # A video or a list of videos may well be a part of what the file of moments lists.
    return 1 if report.faults or (absent and arguments.videos.is_dir()) else 0


def detector_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings of the detector by name."""
    settings = {"threshold": THRESHOLDS.get(arguments.persons, OTHERS_THRESHOLD)}
    for setting in arguments.settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"'{setting}': expected key=value, a setting of the person detector")
        settings[key] = value
    short = {"config": arguments.config, "weights": arguments.weights}
    return settings | {key: value for key, value in short.items() if value is not None}


if __name__ == "__main__":
    run_tool(main)
