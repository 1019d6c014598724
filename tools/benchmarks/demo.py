"""What the demo takes on a video: frames a second from file to drawn file, by stage, with each way to run the network.

Each way runs in a process of its own. A stage's share is the time in which it is at work; the stages overlap, so the
shares sum to more than 1 where the machine has room for several at a time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.arguments import add_json, json_target, number

if TYPE_CHECKING:
    from actiondet.persons.base import PersonDetector
    from actiondet.pipeline import Scorer
    from actiondet.video.clip_stream import Clip, Frame, MomentClip
    from actiondet.video.streaming import Unconverted
    from evaluation.records import FloatArray, FrameKey, PersonBoxes

STAGES = ("decode", "resize", "persons", "network", "draw", "convert", "encode")
"""Decoding makes RGB of the frames, converting makes YUV of the drawn ones."""
TORCH_WAYS = ("float32", "bfloat16", "compiled")


@dataclass(frozen=True)
class Row:
    """One way to run the network.

    Attributes:
        way: how.
        frames: of the video.
        seconds: from the opened file to the drawn one; loading the network is not counted.
        cpu: seconds of all processors in that time.
        shares: of each stage in `seconds`.
        delay_p50, delay_p95: seconds from a key frame's whole clip to its scores; it waits for a batch of clips.
        mebibytes: largest memory of the process.
    """

    way: str
    frames: int
    seconds: float
    cpu: float
    shares: dict[str, float]
    delay_p50: float
    delay_p95: float
    mebibytes: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py demo`."""
    parser.add_argument("video", help="any video file with people")
    parser.add_argument("--config", metavar="C", help="zoo name or YAML file of the network")
    parser.add_argument(
        "--weights",
        metavar="F",
        help="checkpoint; with --config, 'published' (the default where there are such weights) or 'random'",
    )
    parser.add_argument("--model", metavar="ONNX", help="the same network, exported")
    parser.add_argument("--device", default="cpu", help="where the network runs (cpu)")
    parser.add_argument(
        "--ways", nargs="+", choices=TORCH_WAYS, default=["float32"], help="of the network in torch (float32)"
    )
    parser.add_argument("--every", type=number, default=1.0, metavar="S", help="seconds between key frames (1)")
    add_json(parser, "the rows")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from evaluation.errors import InputError
    from evaluation.tables import write_json

    if not (arguments.config or arguments.weights or arguments.model):
        raise InputError("expected a network: --config, --weights or --model")
    ways = [*(arguments.ways if arguments.config or arguments.weights else ()), *(["onnx"] if arguments.model else ())]
    rows: list[Row] = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for way in ways:
            rows.append(pool.apply(measure, (arguments, way)))
    print_table(rows)
    if arguments.json:
        with json_target(arguments.json) as path:
            write_json(path, [asdict(row) for row in rows])


def measure(arguments: argparse.Namespace, way: str) -> Row:
    """Look at the video and draw it, once."""
    import numpy as np

    from actiondet.persons.build import build_persons
    from actiondet.pipeline import VideoPipeline
    from actiondet.video import index_video

    scorer = load(arguments, way)
    stages = Stages()
    persons = TimedPersons(build_persons(scorer.config.persons, arguments.device), stages)
    pipeline = VideoPipeline(TimedScorer(scorer, stages), persons, every=arguments.every)
    index = index_video(arguments.video)
    stages.watch_the_rest()
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        result = pipeline(index)
        for found in result:
            stages.delays.append(time.perf_counter() - stages.arrived[found.key.moment])
        result.save(Path(folder) / "drawn.mp4")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    delays = np.quantile(stages.delays or [0.0], [0.5, 0.95])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    shares = {stage: stages.seconds[stage] / seconds for stage in STAGES}
    return Row(way, len(index), seconds, cpu, shares, float(delays[0]), float(delays[1]), memory)


def load(arguments: argparse.Namespace, way: str) -> Scorer:
    """The network, run in that way."""
    if way == "onnx":
        from actiondet.exported import OnnxNetwork
        from actiondet.exported_detector import OnnxScorer

        return OnnxScorer(OnnxNetwork(arguments.model, device=arguments.device))
    from actiondet.engine.loading import load_by_name
    from actiondet.engine.scorer import TorchScorer

    trained = load_by_name(arguments.config, arguments.weights)
    return TorchScorer(
        trained,
        device=arguments.device,
        precision="bfloat16" if way == "bfloat16" else "float32",
        compile=way == "compiled",
    )


class Stages:
    """How long each stage was at work.

    Attributes:
        seconds: by stage.
        arrived: when the clip of each key frame was there, by its microseconds.
        delays: seconds from then to its scores.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.delays: list[float] = []
        self.arrived: dict[int, float] = {}

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, whose time counts as that of `stage`."""

        def call(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[stage] += time.perf_counter() - start

        return call

    def watch_the_rest(self) -> None:
        """Time decoding, drawing and encoding, which a pipeline does not take from outside."""
        from actiondet import drawing, frame_sources
        from actiondet.video import clip_stream, streaming
        from actiondet.video.pixels import RgbConverter
        from actiondet.video.writer import VideoWriter

        unconverted = streaming.stream_unconverted

        def decoded(*arguments: Any) -> Iterator[tuple[int, Unconverted]]:
            frames = unconverted(*arguments)
            advance = self.timed("decode", lambda: next(frames, None))
            while (item := advance()) is not None:
                yield item

        for home in (clip_stream, streaming):
            setattr(home, "stream_unconverted", decoded)  # noqa: B010 - a name that the module imports
        RgbConverter.convert = self.timed_method("decode", RgbConverter.convert)  # type: ignore[method-assign]
        cut = clip_stream.stream_clips

        def noted(*arguments: Any, **named: Any) -> Iterator[MomentClip]:
            for clip in cut(*arguments, **named):
                self.arrived[clip.time] = time.perf_counter()
                yield clip

        setattr(frame_sources, "stream_clips", noted)  # noqa: B010
        drawing.ActionDrawer.draw = self.timed_method("draw", drawing.ActionDrawer.draw)  # type: ignore[method-assign]
        for name, stage in {"convert": "convert", "write_converted": "encode", "close": "encode"}.items():
            setattr(VideoWriter, name, self.timed_method(stage, getattr(VideoWriter, name)))

    def timed_method(self, stage: str, method: Callable[..., Any]) -> Any:
        """As `timed`, for a method of a class."""
        timed = self.timed(stage, method)
        return lambda it, *arguments, **named: timed(it, *arguments, **named)


class TimedPersons:
    """A person detector, timed."""

    def __init__(self, persons: PersonDetector, stages: Stages) -> None:
        self._detect = stages.timed("persons", persons.detect)

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """See PersonDetector."""
        found: list[PersonBoxes] = self._detect(frames, keys)
        return found


class TimedScorer:
    """A scorer, timed."""

    def __init__(self, scorer: Scorer, stages: Stages) -> None:
        self.config, self.actions, self.follows_tracks = scorer.config, scorer.actions, scorer.follows_tracks
        self.caption, self.about = scorer.caption, scorer.about
        self._score, self._resize = stages.timed("network", scorer.score), stages.timed("resize", scorer.resize)

    def resize(self, frame: Frame) -> tuple[Frame, ...]:
        """See Scorer."""
        small: tuple[Frame, ...] = self._resize(frame)
        return small

    def score(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[FloatArray]:
        """See Scorer."""
        scores: list[FloatArray] = self._score(clips, boxes)
        return scores


def print_table(rows: Sequence[Row]) -> None:
    """One line for each way."""
    from evaluation.tables import table_text

    columns = ["way", "frames/s", "CPU s", *STAGES, "delay p50", "p95", "MiB"]
    lines = [
        [row.way, f"{row.frames / row.seconds:.1f}", f"{row.cpu:.1f}"]
        + [f"{share:.2f}" for share in (*(row.shares[stage] for stage in STAGES), row.delay_p50, row.delay_p95)]
        + [f"{row.mebibytes:.0f}"]
        for row in rows
    ]
    print("shares of the time")
    print(table_text(columns, lines, numeric=columns[1:]))
