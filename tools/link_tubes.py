"""Link the frame detections of MultiSports, JHMDB or UCF101-24 into tubes (video detections)."""

from __future__ import annotations

import argparse

from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet link-tubes --detections frame_detections.pkl --truth multisports_GT.pkl --out tubes.pkl",
        ],
    )
    parser.add_argument("--detections", required=True, metavar="F.pkl", help="frame detections, (N, 8)")
    parser.add_argument("--truth", required=True, metavar="GT.pkl", help="names the videos and labels")
    parser.add_argument("--out", required=True, metavar="V.pkl", help="video detections to write")
    parser.add_argument("--split", type=int, default=1, help="which test split of the truth, from 1")
    parser.add_argument(
        "--moments",
        default="all",
        choices=["all", "annotated"],
        help="link the boxes of all frames, the authors' protocol, or of those with truth alone, MMAction2's "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--preset",
        default="default",
        choices=["default", "keyframes", "mmaction2"],
        help="named settings; the options below change single ones (default: %(default)s)",
    )
    settings = parser.add_argument_group("settings of actiondet.tubes.options.LinkOptions; a step is a frame")
    settings.add_argument("--min-score", type=number, metavar="S", help="look at no box below this score")
    settings.add_argument("--suppress", choices=["drop", "decay", "keep"], help="what happens to boxes too close")
    settings.add_argument("--suppress-iou", type=number, metavar="IOU", help="closer than this is too close")
    settings.add_argument("--boxes-per-step", type=int, metavar="N", help="boxes of a label in a frame")
    settings.add_argument("--link-iou", type=number, metavar="IOU", help="overlap that continues a tube")
    settings.add_argument("--prefer", choices=["iou", "score"], help="who gets which box")
    settings.add_argument("--max-gap", type=int, metavar="STEPS", help="how long a tube may go unseen")
    settings.add_argument("--trim", type=number, metavar="SHARE", help="cut where the score is below this share")
    settings.add_argument("--smooth", type=int, metavar="STEPS", help="window of the average over boxes, odd")
    settings.add_argument("--min-length", type=int, metavar="STEPS", help="drop shorter tubes")
    settings.add_argument("--prior-steps", type=number, metavar="STEPS", help="unseen steps that weigh on the score")
    settings.add_argument("--min-tube-score", type=number, metavar="S", help="drop weaker tubes")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    # What follows loads numpy and pandas; --help does not wait for it.
    from dataclasses import fields, replace

    from actiondet.tubes.linking import link_frames
    from actiondet.tubes.options import LinkOptions, named
    from evaluation.formats.multisports import read_frame_detections, read_multisports, write_video_detections

    given = {field.name: getattr(arguments, field.name, None) for field in fields(LinkOptions)}
    options = replace(named(arguments.preset), **{name: value for name, value in given.items() if value is not None})
    truth = read_multisports(arguments.truth, split=arguments.split)
    truth.check(arguments.truth)
    detections = read_frame_detections(arguments.detections, truth)
    if arguments.moments == "annotated":
        detections = detections.on_annotated_frames(truth)
    tubes = link_frames(detections, options)
    write_video_detections(arguments.out, tubes, truth)
    print(f"{arguments.out}: {len(tubes)} tubes from {len(detections)} boxes of {arguments.moments} frames")
    if unknown := int((~detections.known).sum()):
        print(f"note: {unknown} boxes name a video that is not a test video; they were left out")


if __name__ == "__main__":
    run_tool(main)
