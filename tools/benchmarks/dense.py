"""Clips around every frame of a video: streamed, each frame decoded once, and read clip by clip, the plain way.

Only reading is measured (decoding and resizing), without the network. A film of moving noise replaces a video
unless one is given.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.arguments import add_json, positive, write_json_to

if TYPE_CHECKING:
    import torch

    from actiondet.config import DetectionConfig
    from actiondet.video import VideoIndex
    from evaluation.records import IntArray


@dataclass(frozen=True)
class Row:
    """What was measured of one way to read.

    Attributes:
        way: "streamed", or "plain".
        decoded: frames that the decoder gave out, for each frame of the video.
        resized: frames that were resized, for each frame of the video.
        seconds: by the clock, best of the rounds.
        cpu_seconds: over all cores, best of the rounds.
        ratio: CPU seconds of the plain way over its own: above 1 is faster.
    """

    way: str
    decoded: float
    resized: float
    seconds: float
    cpu_seconds: float
    ratio: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py dense`."""
    parser.add_argument("config", metavar="CONFIG", help="YAML file of configs/")
    parser.add_argument("--video", type=Path, metavar="F", help="a video of yours (default: a film made for this)")
    parser.add_argument("--size", type=positive, nargs=2, default=(1280, 720), metavar=("W", "H"), help="of the film")
    parser.add_argument("--frames", type=positive, default=200, metavar="N", help="of the film (200)")
    parser.add_argument("--stride", type=positive, default=1, metavar="N", help="a clip around every n-th frame (1)")
    parser.add_argument("--rounds", type=positive, default=2, metavar="N", help="of each way, the best counts (2)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.config import load_config

    config = load_config(arguments.config)

    from actiondet.video import index_video

    with tempfile.TemporaryDirectory() as folder:
        video = arguments.video or make_film(Path(folder) / "film.mp4", arguments.size, arguments.frames)
        rows = measure(config, index_video(video), stride=arguments.stride, rounds=arguments.rounds)
    print_table(rows)
    write_json_to(arguments.json, [asdict(row) for row in rows])


def make_film(path: Path, size: tuple[int, int], frames: int) -> Path:
    """Write blocks of color that move, at 25 frames a second."""
    import numpy as np

    from actiondet.video import VideoWriter

    width, height = size
    blocks = np.random.default_rng(0).integers(0, 256, (height // 32 + 1, width // 32 + 1, 3), dtype=np.uint8)
    picture = blocks.repeat(32, axis=0).repeat(32, axis=1)[:height, :width]
    with VideoWriter(path, Fraction(25), width, height) as writer:
        for number in range(frames):
            writer.write(np.roll(picture, (2 * number, 3 * number), axis=(0, 1)))
    return path


def measure(config: DetectionConfig, index: VideoIndex, *, stride: int, rounds: int) -> list[Row]:
    """Read all clips in both ways, in turn."""
    from actiondet.video import clip_frames

    clip = config.clip
    windows = [
        clip_frames(
            index.frame_times,
            center_us=int(index.frame_times[number]),
            frames=clip.frames,
            stride=clip.stride,
            clip_fps=clip.clip_fps,
        )
        for number in range(0, len(index), stride)
    ]
    ways: dict[str, Callable[[], Iterator[torch.Tensor]]] = {
        "plain": lambda: read_plainly(index, windows, config.transform.test_short_side),
        "streamed": lambda: stream(index, windows, config.transform.test_short_side),
    }
    best: dict[str, tuple[float, float]] = {way: (float("inf"), float("inf")) for way in ways}
    counts: dict[str, tuple[int, int]] = {}
    for _ in range(rounds):
        for way, read in ways.items():
            with counted() as count:
                wall, cpu = time.perf_counter(), time.process_time()
                clips = sum(1 for _ in read())
                taken = time.perf_counter() - wall, time.process_time() - cpu
            assert clips == len(windows)
            best[way] = (min(best[way][0], taken[0]), min(best[way][1], taken[1]))
            counts[way] = count["decoded"], count["resized"]
    return [
        Row(
            way=way,
            decoded=counts[way][0] / len(index),
            resized=counts[way][1] / len(index),
            seconds=seconds,
            cpu_seconds=cpu,
            ratio=best["plain"][1] / cpu,
        )
        for way, (seconds, cpu) in best.items()
    ]


def read_plainly(index: VideoIndex, windows: list[IntArray], short_side: int) -> Iterator[torch.Tensor]:
    """Read clip by clip, as training and the tests on key moments do."""
    import numpy as np

    from actiondet.data.transforms import BoxedClip, WholeFrameTransform
    from actiondet.video import open_video

    resize = WholeFrameTransform(short_side=short_side)
    with open_video(index.path, reader="pyav", index=index) as reader:
        for window in windows:
            frames = reader.read(window)
            yield resize(BoxedClip.of(frames, np.zeros((0, 4), np.float32))).tensors()[0]


def stream(index: VideoIndex, windows: list[IntArray], short_side: int) -> Iterator[torch.Tensor]:
    """Read as dense tests do."""
    from functools import partial

    from actiondet.data.resized_frames import joined_frames, resized_frame
    from actiondet.video.clip_stream import stream_windows

    resize = partial(resized_frame, short_sides=(short_side,))
    return (joined_frames(frames)[0] for _, frames in stream_windows(index, windows, resize=resize))


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Count the frames that decoders give out, and those that are resized."""
    from actiondet.data.transforms import BoxedClip
    from actiondet.video import containers, pyav_reader, streaming

    count = {"decoded": 0, "resized": 0}
    decode, resized = containers.decode_packet, BoxedClip.resized

    def counting_decode(*arguments: Any) -> Any:
        frames = decode(*arguments)
        count["decoded"] += len(frames)
        return frames

    def counting_resize(clip: BoxedClip, *size: int) -> BoxedClip:
        count["resized"] += clip.length
        return resized(clip, *size)

    homes = (pyav_reader, streaming)
    for home in homes:
        setattr(home, "decode_packet", counting_decode)  # noqa: B010 - a name that the module imports
    BoxedClip.resized = counting_resize  # type: ignore[method-assign, assignment]
    try:
        yield count
    finally:
        for home in homes:
            setattr(home, "decode_packet", decode)  # noqa: B010
        BoxedClip.resized = resized  # type: ignore[method-assign]


def print_table(rows: list[Row]) -> None:
    """One line for each way."""
    from evaluation.tables import table_text

    columns = ["way", "decoded a frame", "resized a frame", "seconds", "CPU s", "x plain"]
    figures = [(row.decoded, row.resized, row.seconds, row.cpu_seconds, row.ratio) for row in rows]
    lines = [[row.way, *(f"{figure:.2f}" for figure in each)] for row, each in zip(rows, figures, strict=True)]
    print(table_text(columns, lines, numeric=columns[1:]))
