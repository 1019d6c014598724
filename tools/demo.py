"""Show who does what in a video: python tools/demo.py VIDEO [--weights F] [--persons ssd] [--out drawn.mp4].

Writes a drawn mp4 that browsers play, with the sound of the source, and on request the detections as JSON or in
AVA's result format. The video is decoded once to look at it and once to draw it; memory does not grow with its
length. With --tubes FILE it draws what tools/link_tubes.py made, and needs no network.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import check_font, check_writable

if TYPE_CHECKING:
    from actiondet.config import DetectionConfig
    from actiondet.engine.trained import TrainedDetector
    from actiondet.video import VideoIndex
    from evaluation.records import ActionDetections

TOY_RUN = Path("runs/demo/best.pt")
RANDOM = "random"
OF_NETWORK = {
    "--weights": "weights",
    "--config": "config",
    "--device": "device",
    "--batch": "batch",
    "--import": "modules",
    "--persons": "persons",
    "--boxes": "boxes",
    "--person-setting": "person_setting",
    "--every": "every",
    "--start": "start",
    "--json": "json",
    "--csv": "csv",
}
"""Options without a meaning for --tubes, and what the command line's namespace calls them."""


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Find the persons of a video, name their actions, and draw both.")
    parser.add_argument("video", help="any video file that FFmpeg reads")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--weights",
        metavar="F",
        help=f"checkpoint (default: {TOY_RUN}, which `make demo` trains); with --config, 'published' (the default "
        "where there are such weights) or 'random'",
    )
    network.add_argument("--config", metavar="C", help="zoo name or YAML file of the network")
    network.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")
    network.add_argument("--batch", type=int, default=4, metavar="N", help="moments looked at together (default: 4)")
    network.add_argument("--import", dest="modules", action="append", default=[], metavar="M", help="load a module")
    persons = parser.add_argument_group("persons")
    persons.add_argument(
        "--persons", metavar="NAME", help="ssd, torchvision, detectron2, onnx, stored (default: config's)"
    )
    persons.add_argument("--boxes", metavar="FILE", help="stored: dense-proposal pkl or PySlowFast's csv")
    persons.add_argument(
        "--person-setting",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the person detector: threshold=0.7, label=cow, weights=FILE, model=NAME "
        "(torchvision), config=YAML",
    )
    times = parser.add_argument_group("times, in seconds")
    times.add_argument(
        "--every", type=float, default=1.0, metavar="S", help="between key moments (1); 0.5 follows walkers better"
    )
    times.add_argument(
        "--start",
        type=float,
        metavar="S",
        help="time of the first frame in stored boxes and csv (default: with stored boxes the data set's, else 0)",
    )
    shown = parser.add_argument_group("output")
    shown.add_argument("--out", metavar="MP4", help="drawn video (default without --json and --csv: VIDEO_drawn.mp4)")
    shown.add_argument("--json", metavar="J", help="detections for programs")
    shown.add_argument("--csv", metavar="C", help="every score in AVA's result format")
    shown.add_argument("--threshold", type=float, default=0.5, help="lowest score of an action that is named (0.5)")
    shown.add_argument("--top", type=int, default=3, metavar="N", help="most actions named for a person (3)")
    shown.add_argument("--color", choices=["action", "person"], default="person", help="what colours tell (person)")
    shown.add_argument("--font", metavar="TTF", help="font for action names that are not written in latin letters")
    tubes = parser.add_argument_group("tubes, instead of a network's detections")
    tubes.add_argument("--tubes", metavar="V.pkl", help="draw these video detections, a colour for each person")
    tubes.add_argument("--truth", metavar="GT.pkl", help="true tubes, drawn in outline; also names the actions")
    parser.epilog = (
        "Videos with a short side below 480 pixels are drawn enlarged by a whole number, so that labels can be read."
    )
    arguments = parser.parse_args()
    if arguments.tubes or arguments.truth:
        check_tube_options(arguments, parser)
    return arguments


def check_tube_options(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuse what would have no effect beside --tubes.

    Raises:
        InputError: truth without tubes, or an option that a network's detections need.
    """
    if not arguments.tubes:
        raise InputError("--truth GT.pkl is drawn beside tubes; give --tubes V.pkl too")
    needless = [option for option, name in OF_NETWORK.items() if getattr(arguments, name) != parser.get_default(name)]
    if needless:
        raise InputError(f"--tubes draws tubes that were found before; leave out {', '.join(needless)}")


def main() -> None:
    """Run the demo."""
    arguments = parse_arguments()
    if not (arguments.out or arguments.json or arguments.csv):
        arguments.out = f"{Path(arguments.video).stem}_drawn.mp4"
    check_targets(arguments)
    if arguments.tubes:
        draw_tube_set(arguments)
        return

    from actiondet.config.schema import AvaConfig, StoredPersons
    from actiondet.engine.devices import choose_device
    from actiondet.engine.log import ProgressBar, say
    from actiondet.persons.build import build_persons
    from actiondet.pipeline import VideoPipeline
    from actiondet.results import summary
    from actiondet.video import index_video

    index = index_video(arguments.video)
    trained = load_network(arguments)
    config = with_persons(trained.config, arguments)
    stored = isinstance(config.persons, StoredPersons)
    if arguments.start is None:
        arguments.start = config.data.start if stored and isinstance(config.data, AvaConfig) else 0.0
    device = choose_device(arguments.device or "auto")
    pipeline = VideoPipeline(
        config,
        trained.network,
        build_persons(config.persons, device),
        actions=trained.actions,
        every=arguments.every,
        start=arguments.start,
        batch=arguments.batch,
        device=device,
    )
    say(f"video: {len(index)} frames of {index.width}x{index.height}, {float(index.rate):g} a second")
    if trained.report:
        say(trained.report)
    say(f"network: {trained}")
    say(f"persons: {config.persons.name}" + HINTS.get(config.persons.name, ""))
    detections = list(ProgressBar("looking", pipeline.count_moments(index)).over(pipeline(index)))
    say(summary(detections, trained.actions, arguments.threshold))
    if stored and not any(map(len, detections)):
        say(
            f"no stored box is near a key moment: is {arguments.start:g} (--start) when the file begins on their clock?"
        )
    write(arguments, index, detections, trained)


def draw_tube_set(arguments: argparse.Namespace) -> None:
    """Draw tubes that were found before.

    Raises:
        InputError: files that cannot be read, or that know no such video.
    """
    from actiondet.drawing import DrawingStyle
    from actiondet.engine.log import ProgressBar, say
    from actiondet.tube_drawing import draw_tubes
    from actiondet.video import index_video

    style = DrawingStyle(
        threshold=arguments.threshold, top=arguments.top, colour_by=arguments.color, font=arguments.font
    )
    index = index_video(arguments.video)
    bar = ProgressBar("drawing", len(index))
    try:
        said = draw_tubes(
            index, arguments.out, arguments.tubes, truth=arguments.truth, style=style, on_frame=bar.advance
        )
    finally:
        bar.close()
    say(f"wrote {arguments.out}: {said}")


HINTS = {
    "ssd": " (small and fast; misses small, seated and hidden people. torchvision finds more, after a download)",
    "stored": " (the stored boxes of the nearest moment)",
}


def check_targets(arguments: argparse.Namespace) -> None:
    """Refuse what could not be written before any work is done.

    Raises:
        InputError: another suffix than .mp4, the source itself, a folder, or a folder that cannot be written.
    """
    if arguments.out and Path(arguments.out).suffix.lower() != ".mp4":
        raise InputError(f"--out {arguments.out}: the drawn video is an mp4; give a name that ends in .mp4")
    check_font(arguments.font)
    for target in (Path(name) for name in (arguments.out, arguments.json, arguments.csv) if name):
        if target.is_dir():
            raise InputError(f"{target}: is a folder, expected the name of a file to write")
        if target.exists() and os.path.exists(arguments.video) and target.samefile(arguments.video):
            raise InputError(f"{target}: is the video itself; give another name to write to")
        check_writable(target)


def load_network(arguments: argparse.Namespace) -> TrainedDetector:
    """The network that the command line asks for.

    Raises:
        InputError: a file is missing, or the weights belong to another network.
    """
    from actiondet.engine.trained import from_checkpoint, from_config

    if arguments.config:
        from actiondet.config import load_config
        from actiondet.models.weights.download import PUBLISHED, choose_weights

        published = load_config(arguments.config, modules=arguments.modules).published
        weights = arguments.weights or (PUBLISHED if published.weights else None)
        if weights == RANDOM:
            weights = None
        elif weights is not None:
            weights = choose_weights(weights, published.weights)
        return from_config(arguments.config, weights, modules=arguments.modules)
    if not arguments.weights and not TOY_RUN.is_file():
        raise InputError(
            f"there is no {TOY_RUN} to take the network from: train it with `make demo`, give --weights, "
            "or give --config alone for a random network"
        )
    from actiondet.config import import_modules

    import_modules(arguments.modules)
    return from_checkpoint(arguments.weights or TOY_RUN)


def with_persons(config: DetectionConfig, arguments: argparse.Namespace) -> DetectionConfig:
    """Replace the person detector of `config` by that of the command line.

    Raises:
        InputError: no such detector, a setting it does not have, or stored persons without boxes.
    """
    from actiondet.persons.build import parse_persons

    name = arguments.persons or ("stored" if arguments.boxes else config.persons.name)
    settings = config.persons.model_dump(mode="json", exclude={"name"}) if name == config.persons.name else {}
    settings |= {key: value for key, _, value in (setting.partition("=") for setting in arguments.person_setting)}
    if arguments.boxes:
        settings["boxes"] = arguments.boxes
    if name == "stored" and "boxes" not in settings:
        raise InputError("--persons stored: give the file of boxes with --boxes FILE")
    return config.model_copy(update={"persons": parse_persons(name, settings)})


def write(
    arguments: argparse.Namespace,
    index: VideoIndex,
    detections: Sequence[ActionDetections],
    trained: TrainedDetector,
) -> None:
    """Write what the command line asks for."""
    from actiondet.detections_json import write_detections_json
    from actiondet.drawing import DrawingStyle, draw_video
    from actiondet.engine.log import ProgressBar, say
    from actiondet.engine.predict import to_rows
    from actiondet.tubes.carrying import CarriedPersons
    from evaluation.formats.ava import write_ava_results

    start = round(arguments.start * 1_000_000)
    if arguments.json:
        write_detections_json(
            arguments.json,
            index,
            detections,
            actions=trained.actions,
            threshold=arguments.threshold,
            start=start,
            about={"network": str(trained)},
        )
        say(f"wrote {arguments.json}")
    if arguments.csv:
        write_ava_results(arguments.csv, to_rows(detections, actions=trained.actions))
        say(f"wrote {arguments.csv}")
    if arguments.out:
        style = DrawingStyle(
            threshold=arguments.threshold,
            top=arguments.top,
            colour_by=arguments.color,
            caption="" if trained.weights else str(trained),
            font=arguments.font,
        )
        bar = ProgressBar("drawing", len(index))
        try:
            fault = draw_video(
                index,
                arguments.out,
                CarriedPersons(detections),
                actions=trained.actions,
                style=style,
                start=start,
                on_frame=bar.advance,
            )
        finally:
            bar.close()
        say(f"wrote {arguments.out}" + (f"; {fault}" if fault else ""))


if __name__ == "__main__":
    run_tool(main)
