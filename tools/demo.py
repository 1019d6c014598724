"""Show who does what in a video: python tools/demo.py VIDEO [--weights F] [--persons ssd] [--out drawn.mp4].

Writes a drawn mp4 that browsers play, with the sound of the source, and on request the detections as JSON or in
AVA's result format. The video is decoded once to look at it and once to draw it; memory does not grow with its
length. With --tubes FILE it draws what tools/link_tubes.py made, and needs no network.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from actiondet.command_line import add_import
from evaluation.arguments import STANDARD_OUTPUT, Parser, add_json, json_target, number
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import check_font, check_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actiondet.config import DetectionConfig, PersonsConfig
    from actiondet.drawing import DrawingStyle
    from actiondet.pipeline import Scorer, VideoPipeline
    from actiondet.tubes.events import Event, EventRules
    from actiondet.watch import Watch

LOOK_EVERY = 0.2
TOY_RUN = Path("runs/demo/best.pt")
HERE = "127.0.0.1"
OF_NETWORK = {
    "--weights": "weights",
    "--model": "model",
    "--config": "config",
    "--bank": "bank",
    "--device": "device",
    "--batch": "batch",
    "--import": "modules",
    "--persons": "persons",
    "--boxes": "boxes",
    "--person-setting": "person_setting",
    "--every": "every",
    "--persons-every": "persons_every",
    "--start": "start",
    "--json": "json",
    "--csv": "csv",
    "--html": "html",
    "--events": "events",
    "--events-begin": "events_begin",
    "--event-threshold": "event_threshold",
    "--event-thresholds": "event_thresholds",
    "--event-seconds": "event_seconds",
    "--event-gap": "event_gap",
}
"""Options without a meaning for --tubes, and what the command line's namespace calls them."""


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description="Find the persons of a video, name their actions, and draw both.",
        epilog="Videos with a short side below 480 pixels are drawn enlarged by a whole number, so labels can be read.",
        examples=[
            "actiondet demo street.mp4 --config ava22/slowfast_r50_8x8_tmax_focal_k400",
            "actiondet demo street.mp4 --weights runs/own/best.pt --persons torchvision --json - --quiet",
            "actiondet demo street.mp4 --model detector.onnx --device openvino --out drawn.mp4 --quality 28",
            "actiondet demo match.mp4 --tubes tubes.pkl --truth multisports_GT.pkl",
            "actiondet demo rtsp://10.0.0.7/door camera:0 --weights runs/own/best.pt --events events.jsonl",
        ],
    )
    parser.add_argument(
        "video",
        nargs="+",
        help="any video file that FFmpeg reads, or one or several streams and cameras: rtsp://, http://, camera:0",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--weights",
        metavar="F",
        help=f"checkpoint (default: {TOY_RUN}, which `make demo` trains); with --config, 'published' (the default "
        "where there are such weights) or 'random'",
    )
    network.add_argument("--config", metavar="C", help="zoo name or YAML file of the network")
    network.add_argument(
        "--bank", metavar="F", help="of a network with a feature bank: checkpoint of the network that fills it"
    )
    network.add_argument(
        "--model", metavar="ONNX", help="detector of `actiondet export` in place of weights; needs no torch"
    )
    network.add_argument(
        "--device",
        help="cpu, cuda, mps, ...; with --model cpu, cuda, tensorrt, openvino or the name of an onnxruntime provider "
        "(default: a GPU where there is one)",
    )
    network.add_argument("--batch", type=int, default=4, metavar="N", help="key frames scored together (default: 4)")
    add_import(network)
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
        "--every", type=number, default=1.0, metavar="S", help="between key frames (1); 0.5 follows walkers better"
    )
    times.add_argument(
        "--persons-every",
        type=number,
        metavar="S",
        help=f"between looks of the person detector, which follow everybody ({LOOK_EVERY:g}; stored boxes: --every)",
    )
    times.add_argument(
        "--start",
        type=number,
        metavar="S",
        help="time of the first frame in stored boxes and csv (default: with stored boxes the data set's, else 0)",
    )
    shown = parser.add_argument_group("output")
    shown.add_argument(
        "--out",
        metavar="MP4",
        help="drawn video (default without --json, --csv, --html and --events: VIDEO_drawn.mp4)",
    )
    add_json(shown, "the detections")
    shown.add_argument("--csv", metavar="C", help="every score in AVA's result format")
    shown.add_argument(
        "--html", metavar="PAGE", help="a page that plays the video with boxes, and its events; opens in any browser"
    )
    shown.add_argument("--threshold", type=number, default=0.5, help="lowest score of an action that is named (0.5)")
    shown.add_argument("--top", type=int, default=3, metavar="N", help="most actions named for a person (3)")
    shown.add_argument("--color", choices=["action", "person"], default="person", help="what colors mean (person)")
    shown.add_argument(
        "--quality",
        type=int,
        default=20,
        metavar="N",
        help="of the drawn video, 0 to 51 (CRF of H.264): 18 looks like the source, 28 is small (20)",
    )
    shown.add_argument("--font", metavar="TTF", help="font for action names that are not written in latin letters")
    events = parser.add_argument_group("events: who does what, from when to when")
    events.add_argument("--events", metavar="FILE", help=".jsonl or .csv, a line as each ends; - for standard output")
    events.add_argument("--events-begin", action="store_true", help="also a line when an event begins")
    events.add_argument("--event-threshold", type=number, default=0.5, metavar="X", help="score that begins one (0.5)")
    events.add_argument("--event-thresholds", metavar="JSON", help='of single actions: {"wave": 0.4, ...}')
    events.add_argument("--event-seconds", type=number, default=0.0, metavar="S", help="drop shorter ones (0)")
    events.add_argument("--event-gap", type=number, default=1.0, metavar="S", help="join across gaps up to S (1)")
    live = parser.add_argument_group("cameras and streams")
    live.add_argument("--latency", type=number, default=2.0, metavar="S", help="most seconds that key frames wait (2)")
    live.add_argument(
        "--reconnect", type=float, default=10.0, metavar="S", help="end after S seconds without a frame (10); inf"
    )
    live.add_argument(
        "--serve", type=int, metavar="PORT", help="a page with the pictures and events as they come; 0: any free port"
    )
    live.add_argument(
        "--host", default=HERE, help=f"where the page is served ({HERE}: to this machine alone; else with a token)"
    )
    live.add_argument("--any-host", action="store_true", help="a playlist may lead to other hosts than its own")
    live.add_argument("--causal", action="store_true", help="clips end at their key frame: less delay, less to see")
    tubes = parser.add_argument_group("tubes, instead of a network's detections")
    tubes.add_argument("--tubes", metavar="V.pkl", help="draw these video detections, a color for each person")
    tubes.add_argument("--truth", metavar="GT.pkl", help="true tubes, drawn in outline; also names the actions")
    arguments = parser.parse_args()
    arguments.sources, arguments.video = arguments.video, arguments.video[0]
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


def check_live_options(arguments: argparse.Namespace) -> None:
    """Refuse what a source that does not end cannot have.

    Raises:
        InputError: a file of the whole result, tubes, or stored boxes.
    """
    given = ("json", "csv", "html", "tubes", "truth", "boxes")
    needless = [f"--{name}" for name in given if getattr(arguments, name)]
    if arguments.serve is None and arguments.host != HERE:
        raise InputError(f"--host {arguments.host} says where --serve PORT serves its page; give --serve, too")
    if arguments.serve is not None and len(arguments.sources) > 1:
        raise InputError(f"--serve {arguments.serve}: the page shows one source, found {len(arguments.sources)}")
    if needless:
        raise InputError(
            f"{arguments.video}: is watched while it runs, leave out {', '.join(needless)}; --events FILE writes what "
            "happens, --out MP4 what is seen"
        )
    check_output(arguments)


def check_output(arguments: argparse.Namespace) -> None:
    """Refuse files that cannot be written.

    Raises:
        InputError: no such folder, the source itself, a drawn video that does not end in .mp4, a page that does not
            end in .html, or a font that cannot be read.
    """
    if arguments.out and Path(arguments.out).suffix.lower() != ".mp4":
        raise InputError(f"--out {arguments.out}: the drawn video is an mp4; give a name that ends in .mp4")
    if arguments.html and Path(arguments.html).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--html {arguments.html}: expected a name that ends in .html")
    check_font(arguments.font)
    given = (arguments.out, arguments.json, arguments.csv, arguments.html, arguments.events)
    check_targets([each for each in given if each and each != STANDARD_OUTPUT], source=arguments.video)
    if arguments.html and not arguments.out:
        check_page_video(arguments)


def drawing_style(arguments: argparse.Namespace) -> DrawingStyle:
    """What is drawn."""
    from actiondet.drawing import DrawingStyle

    return DrawingStyle(
        arguments.threshold, arguments.top, arguments.color, font=arguments.font, quality=arguments.quality
    )


def check_page_video(arguments: argparse.Namespace) -> None:
    """Refuse a page whose copy of the video could not be written, where browsers do not play the video itself."""
    from actiondet.video.browsers import plays_in_browsers
    from actiondet.video_page import copy_beside

    if not plays_in_browsers(arguments.video):
        check_targets([copy_beside(arguments.html)], source=arguments.video)


def main() -> None:
    """Run the demo."""
    arguments = parse_arguments()
    from actiondet.video.live import is_live

    if len(arguments.sources) > 1 and not all(map(is_live, arguments.sources)):
        raise InputError(f"{len(arguments.sources)} sources: expected streams and cameras, or a single file")
    if is_live(arguments.video):
        check_live_options(arguments)
        watch(arguments)
        return
    if arguments.serve is not None:
        raise InputError(
            f"--serve {arguments.serve} is for cameras and streams; --html PAGE makes a page of {arguments.video}"
        )
    if not Path(arguments.video).exists():  # before the libraries are loaded, which takes seconds
        raise InputError(f"{arguments.video}: no such file")
    if not (arguments.out or arguments.json or arguments.csv or arguments.html or arguments.events):
        arguments.out = f"{Path(arguments.video).stem}_drawn.mp4"
    check_output(arguments)
    style = drawing_style(arguments)
    if arguments.tubes:
        draw_tube_set(arguments, style)
    else:
        look(arguments, style)


def draw_tube_set(arguments: argparse.Namespace, style: DrawingStyle) -> None:
    """Draw tubes that were found before."""
    from actiondet.engine.log import log_line
    from actiondet.tube_drawing import draw_tubes
    from actiondet.video import index_video
    from evaluation.progress import ProgressBar

    index = index_video(arguments.video)
    with closing(ProgressBar("drawing", len(index))) as bar:
        said = draw_tubes(
            index, arguments.out, arguments.tubes, truth=arguments.truth, style=style, on_frame=bar.advance
        )
    log_line(f"wrote {arguments.out}: {said}")


def build_pipeline(arguments: argparse.Namespace) -> tuple[VideoPipeline, PersonsConfig]:
    """Load the network and the person detector that the command line names, and say what they are."""
    from actiondet.config.data_sets import AvaConfig
    from actiondet.config.schema import StoredPersons
    from actiondet.engine.log import log_line
    from actiondet.persons.build import build_persons
    from actiondet.pipeline import VideoPipeline

    scorer, device = exported_scorer(arguments) if arguments.model else torch_scorer(arguments)
    persons = chosen_persons(arguments, scorer.config)
    stored = isinstance(persons, StoredPersons)
    if arguments.persons_every is None and not stored:
        arguments.persons_every = LOOK_EVERY
    if arguments.start is None:
        arguments.start = scorer.config.data.start if stored and isinstance(scorer.config.data, AvaConfig) else 0.0
    pipeline = VideoPipeline(
        scorer,
        build_persons(persons, device),
        every=arguments.every,
        start=arguments.start,
        batch=arguments.batch,
    )
    log_line(f"network: {scorer.about}")
    log_line(f"persons: {persons.name}" + HINTS.get(persons.name, ""))
    return pipeline, persons


def torch_scorer(arguments: argparse.Namespace) -> tuple[Scorer, str]:
    """The network that --weights and --config name, and the device it is on."""
    from actiondet.engine.devices import choose_device
    from actiondet.engine.loading import load_by_name
    from actiondet.engine.log import log_line
    from actiondet.engine.scorer import scorer_of

    if not (arguments.config or arguments.weights or TOY_RUN.is_file()):
        raise InputError(
            f"{TOY_RUN}, which the network would come from, does not exist: train it with `make demo`, give --weights, "
            "give --model, or give --config alone for a random network"
        )
    weights = arguments.weights or (None if arguments.config else TOY_RUN)
    trained = load_by_name(arguments.config, weights, modules=arguments.modules)
    if trained.report is not None and trained.report.origin != "actiondet":
        log_line(str(trained.report))
    device = choose_device(arguments.device or "auto")
    bank = None if arguments.bank is None else load_by_name(None, arguments.bank, modules=arguments.modules)
    return scorer_of(trained, bank=bank, device=device), str(device)


def exported_scorer(arguments: argparse.Namespace) -> tuple[Scorer, str]:
    """The network of --model, and the device it is on."""
    from actiondet.config import import_modules
    from actiondet.exported import OnnxNetwork
    from actiondet.exported_detector import OnnxScorer

    needless = [f"--{name}" for name in ("weights", "config", "bank") if getattr(arguments, name)]
    if needless:
        raise InputError(f"--model {arguments.model} is a whole network; leave out {', '.join(needless)}")
    import_modules(arguments.modules)
    network = OnnxNetwork(arguments.model, device=arguments.device or "auto")
    return OnnxScorer(network), "cuda" if "CUDA" in network.providers else "cpu"


def chosen_persons(arguments: argparse.Namespace, config: DetectionConfig) -> PersonsConfig:
    """The person detector's settings: those of the network's configuration, changed by the command line."""
    from actiondet.config.schema import StoredPersons
    from actiondet.persons.build import change_persons

    settings = dict(setting.partition("=")[::2] for setting in arguments.person_setting)
    settings |= {"boxes": arguments.boxes} if arguments.boxes else {}
    wanted = arguments.persons or ("stored" if arguments.boxes else config.persons.name)
    if wanted == "stored" and "boxes" not in settings and not isinstance(config.persons, StoredPersons):
        raise InputError("--persons stored: give the file of boxes with --boxes FILE")
    return change_persons(config.persons, wanted, settings)


def look(arguments: argparse.Namespace, style: DrawingStyle) -> None:
    """Find the persons and their actions, and write what the command line asks for."""
    from actiondet.engine.log import log_line
    from actiondet.results import summary
    from actiondet.video import index_video
    from evaluation.progress import ProgressBar

    index = index_video(arguments.video)
    log_line(f"video: {len(index)} frames of {index.width}x{index.height}, {float(index.rate):g} a second")
    rules = event_rules(arguments)
    pipeline, persons = build_pipeline(arguments)
    result = pipeline(index, persons_every=arguments.persons_every)
    with closing(ProgressBar("looking", pipeline.count_moments(index))) as bar:
        found = result.events(rules, begins=arguments.events_begin, on_moment=bar.advance)
        events = list(logged(found, arguments.events))
    detections = result.detections
    log_line(summary(detections, pipeline.actions, arguments.threshold))
    if events:
        log_line(event_table(events))
    if persons.name == "stored" and not any(map(len, detections)):
        log_line(
            f"no stored box is near a key frame: is {arguments.start:g} (--start) when the file begins on their clock?"
        )
    if arguments.json:
        with json_target(arguments.json) as path:
            result.to_json(path, threshold=arguments.threshold)
        log_line(f"wrote {arguments.json}")
    if arguments.csv:
        result.to_ava_csv(arguments.csv)
        log_line(f"wrote {arguments.csv}")
    if arguments.out:
        with closing(ProgressBar("drawing", len(index))) as bar:
            fault = result.save(arguments.out, style=style, on_frame=bar.advance)
        log_line(f"wrote {arguments.out}" + (f"; {fault}" if fault else ""))
    if arguments.html:
        with closing(ProgressBar("copying", len(index))) as bar:
            beside = result.to_html(arguments.html, style=style, rules=rules, drawn=arguments.out, on_frame=bar.advance)
        log_line(f"wrote {arguments.html}, " + (f"which plays {beside}" if beside else "with the video in it"))


def watch(arguments: argparse.Namespace) -> None:
    """Look at a stream or a camera until it ends, and log its events."""
    import numpy as np

    from actiondet.engine.log import log_line
    from actiondet.watch import closed_by_signals

    rules = event_rules(arguments)
    pipeline, persons = build_pipeline(arguments)
    if persons.name == "stored":
        raise InputError(f"{arguments.video}: stored boxes belong to files; give --persons ssd, or another detector")
    watched = pipeline.watch(
        arguments.sources,
        persons_every=arguments.persons_every,
        latency=arguments.latency,
        reconnect=arguments.reconnect,
        causal=arguments.causal,
        any_host=arguments.any_host,
    )
    drawn = watched.draw(arguments.out, style=drawing_style(arguments)) if arguments.out else []
    log_line(f"key frames every {arguments.every:g} s, {pipeline.look_ahead(causal=arguments.causal):.1f} s look-ahead")
    with closed_by_signals(watched), ExitStack() as opened:
        if arguments.serve is None:
            events = watched.events(rules, begins=arguments.events_begin)
        else:
            events = opened.enter_context(served(arguments, watched, rules))
        for event in logged(events, arguments.events):
            source = f"{event.video}: " if len(arguments.sources) > 1 else ""
            log_line(source + event_line(event))
        for path in drawn:
            if path.exists():
                log_line(f"wrote {path}")
        if watched.undrawn:
            log_line(f"{watched.undrawn} frames were not drawn, as drawing them is slower than the source")
        delays = np.quantile(watched.delays, [0.5, 0.95]) if watched.delays else [0.0, 0.0]
        log_line(
            f"{watched.key_frames} key frames, {watched.left_out} left out; delay beyond the look-ahead: median "
            f"{delays[0]:.2f} s, 95 % below {delays[1]:.2f} s"
        )


@contextmanager
def served(arguments: argparse.Namespace, watched: Watch, rules: EventRules) -> Iterator[Iterator[Event]]:
    """Serve the page of a source; its events, which the page gets as well."""
    from actiondet.engine.log import log_line
    from actiondet.live_page import live_event, live_page, live_state
    from evaluation.page.serving import PageServer

    page = live_page(arguments.video, watched.actions, lowest=rules.lowest)
    with PageServer(page, arguments.serve, host=arguments.host) as server:
        log_line(f"page: {server.address}")
        showing = watched.show(server, style=drawing_style(arguments))

        def events() -> Iterator[Event]:
            found = watched.events(
                rules,
                begins=True,
                on_moment=lambda moment: server.tell(
                    "now", live_state(moment.detections, moment.delay, watched.left_out, showing.size), kept=False
                ),
            )
            for event in found:
                server.tell("event", live_event(event, watched.actions))
                if event.end is not None or arguments.events_begin:
                    yield event
            server.tell("end", {})

        yield events()


def event_rules(arguments: argparse.Namespace) -> EventRules:
    """When an action of a person is an event."""
    from actiondet.tubes.events import EventRules, read_thresholds

    return EventRules(
        enter=arguments.event_threshold,
        of=read_thresholds(arguments.event_thresholds) if arguments.event_thresholds else {},
        min_seconds=arguments.event_seconds,
        max_gap=arguments.event_gap,
    )


def logged(events: Iterable[Event], target: str | None) -> Iterator[Event]:
    """Write events to the log `target`, if there is one, as they come; yield those that have ended."""
    from actiondet.event_log import EventLog

    with EventLog(target) if target else nullcontext() as log:
        for event in events:
            if log is not None:
                log.write(event)
            if event.end is not None:
                yield event


def event_table(events: Sequence[Event]) -> str:
    """The longest events, in their order."""
    longest = sorted(events, key=lambda each: each.start - (each.end or each.start))[:SHOWN_EVENTS]
    rows = [event_line(each) for each in sorted(longest, key=lambda each: (each.start, each.person))]
    more = [f"and {len(events) - len(rows)} shorter ones"] if len(events) > len(rows) else []
    return "\n".join([f"{'from':>8} {'to':>8}", *rows, *more])


def event_line(event: Event) -> str:
    """An event that has ended, in one line."""
    return f"{event.start:>8.1f} {event.end or 0:>8.1f}  person {event.person:<4} {event.action} ({event.peak:.2f})"


SHOWN_EVENTS = 12
HINTS = {
    "ssd": " (small and fast; misses small, seated and hidden people. torchvision finds more, after a download)",
    "stored": " (the stored boxes of the nearest key frame)",
}


if __name__ == "__main__":
    run_tool(main)
