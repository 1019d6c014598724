"""Show where and when a detector looks: python tools/explain.py VIDEO --at S --person N --action NAME --weights F.

Writes the frames of the clip with what speaks for the action (Grad-CAM over the maps of the backbone), as a picture
strip and as a video.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from actiondet.command_line import add_import
from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import check_font, check_targets


def main() -> None:
    parser = Parser(
        description="Show where and when a detector looks for an action of a person, as a picture strip and a video.",
        examples=[
            "actiondet explain street.mp4 --at 12.4 --person 2 --action fall --weights runs/own/best.pt",
            "actiondet explain street.mp4 --at 3 --config ava22/slowfast_r50_8x8_tmax_focal_k400 --weights published",
        ],
    )
    parser.add_argument("video", help="any video file that FFmpeg reads")
    parser.add_argument("--at", type=number, required=True, metavar="S", help="the moment, seconds from the beginning")
    parser.add_argument("--person", type=int, metavar="N", help="number, as the demo has it (default: the only one)")
    parser.add_argument("--action", metavar="NAME", help="name or id of the action (default: the person's best)")
    parser.add_argument("--weights", required=True, metavar="F", help="checkpoint; with --config, also 'published'")
    parser.add_argument("--config", metavar="C", help="zoo name or YAML file of the network")
    parser.add_argument("--persons", metavar="NAME", help="ssd, torchvision, detectron2 (default: the config's)")
    parser.add_argument(
        "--persons-every", type=number, default=0.2, metavar="S", help="between looks of the person detector (0.2)"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps, ... (default: a GPU where there is one)")
    parser.add_argument("--out", metavar="P", help="P.png and P.mp4 are written (default: VIDEO_explained)")
    parser.add_argument("--font", metavar="TTF", help="font for action names that are not written in latin letters")
    add_import(parser)
    arguments = parser.parse_args()
    if not arguments.persons_every > 0:
        parser.error(f"--persons-every {arguments.persons_every:g}: expected seconds above 0")
    if not 0 <= arguments.at < float("inf"):
        parser.error(f"--at {arguments.at:g}: expected seconds from the beginning of the video")
    if not Path(arguments.video).is_file():  # before the libraries are loaded, which takes seconds
        raise InputError(f"{arguments.video}: no such file")
    out = arguments.out or f"{Path(arguments.video).stem}_explained"
    strip, video = f"{out}.png", f"{out}.mp4"
    check_font(arguments.font)
    check_targets([strip, video], source=arguments.video)

    from actiondet.engine.devices import choose_device
    from actiondet.engine.loading import load_by_name
    from actiondet.engine.log import log_line
    from actiondet.explaining import explain
    from actiondet.persons.build import build_persons, change_persons
    from evaluation.progress import ProgressBar

    trained = load_by_name(arguments.config, arguments.weights, modules=arguments.modules)
    log_line(f"network: {trained}")
    device = choose_device(arguments.device)
    persons = change_persons(trained.config.persons, arguments.persons, {})
    action = arguments.action
    looks = int(arguments.at / arguments.persons_every) + 1
    with closing(ProgressBar("following", looks)) as bar:
        explanation = explain(
            trained,
            arguments.video,
            at=arguments.at,
            persons=build_persons(persons, str(device)),
            person=arguments.person,
            action=int(action) if action is not None and action.isdecimal() else action,
            persons_every=arguments.persons_every,
            device=device,
            on_look=bar.advance,
        )
    explanation.save_strip(strip, font=arguments.font)
    explanation.save_video(video, font=arguments.font)
    if not explanation.heat.any():
        log_line(f"nothing in the clip speaks for '{explanation.action}'")
    print(f"person {explanation.person}, {explanation.action}: {explanation.score:.3f}; wrote {strip} and {video}")


if __name__ == "__main__":
    run_tool(main)
