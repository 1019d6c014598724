"""Training clips read from files, in clips a second and core: ours beside the ways of other toolkits.

Every clip is a file opened, some frames decoded, and these resized, cropped and mirrored, in one thread; CPU seconds
count. All ways read the same frames in turn, round by round. Without --videos three films of ten seconds are made,
coded as videos usually come (a keyframe at every 250th frame) and as the preparations code them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import add_json, positive, write_json_to

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from actiondet.cli.benchmarks.read_ways import Way

    from actiondet.video import VideoIndex

FILMS, SECONDS, RATE, SIZE = 3, 10, 30, (426, 320)


@dataclass(frozen=True)
class Row:
    """What was measured of one way.

    Attributes:
        clip: frames x stride.
        coding: of the files.
        way: of reading.
        clips_per_second: of one core.
        milliseconds: CPU time of a clip, by step.
        ratio: clips a second over those of the fastest other toolkit's way for the same clips.
    """

    clip: str
    coding: str
    way: str
    clips_per_second: float
    milliseconds: dict[str, float]
    ratio: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py read`."""
    parser.add_argument("--videos", type=Path, metavar="DIR", help="read the videos of this folder")
    parser.add_argument(
        "--clips", nargs="+", type=clip, default=[(4, 16), (8, 8), (32, 2)], metavar="TxS", help="frames x stride"
    )
    parser.add_argument("--rounds", type=positive, default=4, metavar="N", help="clips of each file and way (4)")
    add_json(parser)


def clip(text: str) -> tuple[int, int]:
    """'4x16' as numbers."""
    frames, _, stride = text.partition("x")
    if not (frames.isdecimal() and stride.isdecimal() and int(frames) and int(stride)):
        raise argparse.ArgumentTypeError(f"'{text}' is not FRAMESxSTRIDE; expected 8x8, say")
    return int(frames), int(stride)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    import cv2
    import torch

    from actiondet.video import index_video
    from actiondet.video.names import is_video
    from evaluation.errors import InputError

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        if arguments.videos is None:
            sets = make_films(Path(folder))
        else:
            if not arguments.videos.is_dir():
                raise InputError(f"--videos {arguments.videos}: is not a folder; expected one with videos")
            sets = {"as they are": sorted(path for path in arguments.videos.glob("*") if is_video(path))}
        for coding, paths in sets.items():
            if not paths:
                raise InputError(f"--videos {arguments.videos}: holds no video; expected some")
            indices = {path: index_video(path) for path in paths}
            for frames, stride in arguments.clips:
                rows += measure(indices, coding, frames, stride, rounds=arguments.rounds)
    print_table(rows)
    write_json_to(arguments.json, [asdict(row) for row in rows])


def measure(indices: dict[Path, VideoIndex], coding: str, frames: int, stride: int, *, rounds: int) -> list[Row]:
    """Read `rounds` clips of every file in every way, in turn; what comes first warms up."""
    import numpy as np
    from actiondet.cli.benchmarks.read_ways import Clock, ways

    from actiondet.video.views import ViewSampling

    sampling = ViewSampling(frames=frames, stride=stride, rule="mmaction2")
    all_ways = ways(indices)
    clocks = {way.name: Clock() for way in all_ways}
    for turn in range(-1, rounds):
        for place, (path, index) in enumerate(indices.items()):
            seed = turn * len(indices) + place + len(indices)
            chosen = sampling.draw(len(index), rate=float(index.rate), random=np.random.default_rng(seed))
            for way in all_ways:
                read(way, path, np.sort(chosen), seed, clocks[way.name] if turn >= 0 else Clock())
    clips = rounds * len(indices)
    speeds = {name: clips / max(sum(clock.seconds.values()), 1e-9) for name, clock in clocks.items()}
    best = max(speed for name, speed in speeds.items() if not name.startswith("ours"))
    return [
        Row(
            clip=f"{frames}x{stride}",
            coding=coding,
            way=way.name,
            clips_per_second=speeds[way.name],
            milliseconds={step: 1000 * taken / clips for step, taken in clocks[way.name].seconds.items()},
            ratio=speeds[way.name] / best,
        )
        for way in all_ways
    ]


def read(way: Way, path: Path, frames: npt.NDArray[np.int64], seed: int, clock: object) -> None:
    """Read one clip and hand it over, as a worker does: through memory that another process can see."""
    from actiondet.cli.benchmarks.read_ways import Clock

    assert isinstance(clock, Clock)
    found = way.clip(path, frames, seed, clock)
    with clock.timed("hand-over"):
        found.share_memory_()


def make_films(folder: Path) -> dict[str, list[Path]]:
    """The same films in two codings."""
    usual = {"preset": "medium", "crf": "23"}
    prepared = {"preset": "veryfast", "crf": "18", "g": "16", "bf": "1", "tune": "fastdecode"}
    sets: dict[str, list[Path]] = {}
    for coding, options in (("as they come", usual), ("prepared", prepared)):
        (folder / coding).mkdir()
        sets[coding] = [folder / coding / f"{number}.mp4" for number in range(FILMS)]
        for number, path in enumerate(sets[coding]):
            write(path, pictures(number), options)
    return sets


def pictures(seed: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Two smooth textures, one over the other, that move apart, under a little noise."""
    import cv2
    import numpy as np

    random = np.random.default_rng(seed)
    width, height = SIZE
    far, near = (
        cv2.resize(random.integers(0, 256, (rows, rows, 3), dtype=np.uint8), (2 * width, 2 * height))
        for rows in (40, 12)
    )
    for number in range(SECONDS * RATE):
        picture = far[number // 3 :][:height, number // 2 :][:, :width].copy()
        left = 20 + number % (width // 2)
        picture[60:-20, left : left + 120] = near[number:][: height - 80, 3 * seed : 3 * seed + 120]
        yield cv2.add(picture, random.integers(0, 6, picture.shape, dtype=np.uint8))


def write(path: Path, frames: Iterator[npt.NDArray[np.uint8]], options: dict[str, str]) -> None:
    """Code a film with libx264."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def print_table(rows: list[Row]) -> None:
    """One line for each way, clip by clip."""
    from actiondet.cli.benchmarks.read_ways import STEPS

    from evaluation.tables import table_text

    columns = ["clip", "files", "way", "clips/s/core", "x best peer", *STEPS]
    lines = [
        [row.clip, row.coding, row.way, f"{row.clips_per_second:.1f}", f"{row.ratio:.2f}"]
        + [f"{row.milliseconds[step]:.1f}" for step in STEPS]
        for row in rows
    ]
    print("Training clips, and the CPU milliseconds of their steps")
    print(table_text(columns, lines, numeric=columns[3:]))
