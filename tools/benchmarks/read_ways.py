"""The ways to read a training clip that `benchmark.py read` compares: ours, and those of other toolkits."""

from __future__ import annotations

import io
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from actiondet.video import ReaderName, VideoIndex
    from evaluation.records import IntArray

    Frames = npt.NDArray[np.uint8]

SHORT_SIDE, SIDE = 256, 224
STEPS = ("index", "open", "decode", "convert", "resize", "hand-over")
"""Where a way does not part two steps, the time is with the first of them."""


class Clock:
    """CPU seconds by step."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STEPS, 0.0)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add what the block takes."""
        began = time.process_time()
        yield
        self.seconds[step] += time.process_time() - began

    def wrap(self, step: str, call: Callable[..., Any], *, inside: str) -> Callable[..., Any]:
        """`call`, its time counted as `step` and no longer as the step `inside` which it is called."""

        def counted(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                taken = time.process_time() - began
                self.seconds[step] += taken
                self.seconds[inside] -= taken

        return counted


class Way(ABC):
    """Reads the frames of a clip and makes them a training clip; a file is opened for every clip.

    Attributes:
        name: in the table.
    """

    name: str

    @abstractmethod
    def clip(self, path: Path, frames: IntArray, seed: int, clock: Clock) -> torch.Tensor:
        """(3, T, SIDE, SIDE) of the rising `frames` of a file: a random part of them, resized and mirrored."""


class Ours(Way):
    """As the training of recognizers reads, from kept indices."""

    def __init__(self, reader: ReaderName, indices: dict[Path, bytes]) -> None:
        self.name, self._reader, self._indices = f"ours, {reader}", reader, indices

    def clip(self, path: Path, frames: IntArray, seed: int, clock: Clock) -> torch.Tensor:
        """See Way."""
        import numpy as np

        from actiondet.video import open_video
        from actiondet.video.packing import unpack_index

        with clock.timed("index"):
            index = unpack_index(self._indices[path], str(path))
        with open_video(path, self._reader, index) as reader, clock.timed("decode"), _steps_of(reader, clock):
            images = reader.read(frames)
        with clock.timed("resize"):
            return _transform()(images, np.random.default_rng(seed))


class Mmaction2(Way):
    """decord as MMAction2 calls it (DecordInit, DecordDecode), OpenCV for the resizing (mmcv.imresize)."""

    name = "MMAction2, decord"

    def clip(self, path: Path, frames: IntArray, seed: int, clock: Clock) -> torch.Tensor:
        """See Way."""
        decord: Any = import_module("decord")  # Any: it has no types
        with clock.timed("open"):
            handle = decord.VideoReader(io.BytesIO(path.read_bytes()), num_threads=1)
        with clock.timed("decode"):
            images = list(handle.get_batch(frames.tolist()).asnumpy())
        with clock.timed("resize"):
            return _with_opencv(images, seed)


class OpenCV(Way):
    """cv2.VideoCapture with the transform of ours: one jump, then every frame up to the last one."""

    name = "OpenCV"

    def clip(self, path: Path, frames: IntArray, seed: int, clock: Clock) -> torch.Tensor:
        """See Way."""
        import cv2
        import numpy as np

        with clock.timed("open"):
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        images = []
        wanted = set(frames.tolist())
        with clock.timed("decode"):
            capture.set(cv2.CAP_PROP_POS_FRAMES, int(frames[0]))
            for number in range(int(frames[0]), int(frames[-1]) + 1):
                if capture.grab() and number in wanted:
                    images.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
        capture.release()
        with clock.timed("resize"):
            return _transform()(np.stack(images), np.random.default_rng(seed))


class Pyslowfast(Way):
    """PyAV as PySlowFast calls it: every frame of the clip's span becomes an RGB array, resizing is in float32.

    It chooses its frames by time in the span; here it takes those of the others.
    """

    name = "PySlowFast, PyAV"

    def clip(self, path: Path, frames: IntArray, seed: int, clock: Clock) -> torch.Tensor:
        """See Way."""
        import av
        import numpy as np
        import torch

        with clock.timed("open"):
            container = av.open(str(path))
            stream = container.streams.video[0]
            stream.thread_count = 1
        with container, clock.timed("decode"):
            step = (stream.duration or 0) / max(stream.frames, 1)
            begin, end = int(frames[0]) * step, int(frames[-1]) * step
            container.seek(max(int(begin) - 1024, 0), any_frame=False, backward=True, stream=stream)
            span = []
            for frame in container.decode(stream):
                pts = frame.pts or 0
                if pts > end + step / 2:
                    break
                if pts >= begin - step / 2:
                    span.append(frame.to_ndarray(format="rgb24"))
            places = np.clip(frames - frames[0], 0, len(span) - 1)
            images = torch.as_tensor(np.stack(span))[torch.from_numpy(places)]
        with clock.timed("resize"):
            return _in_float(images, seed)


class Torchcodec(Way):
    """torchcodec with the transform of ours."""

    def __init__(self, seek_mode: str) -> None:
        self.name, self._seek_mode = f"torchcodec, {seek_mode}", seek_mode

    def clip(self, path: Path, frames: IntArray, seed: int, clock: Clock) -> torch.Tensor:
        """See Way."""
        import numpy as np

        decoders: Any = import_module("torchcodec.decoders")  # Any: not a dependency
        with clock.timed("open"):
            decoder = decoders.VideoDecoder(
                str(path), seek_mode=self._seek_mode, dimension_order="NHWC", num_ffmpeg_threads=1
            )
        with clock.timed("decode"):
            images = decoder.get_frames_at(frames.tolist()).data.numpy()
        with clock.timed("resize"):
            return _transform()(images, np.random.default_rng(seed))


def ways(indices: dict[Path, VideoIndex]) -> list[Way]:
    """Those whose libraries can be loaded here; `indices` are of all files, by path."""
    from actiondet.video.decord_reader import decord_is_installed
    from actiondet.video.packing import pack_index

    packed = {path: pack_index(index) for path, index in indices.items()}
    found: list[Way] = [Ours("pyav", packed)]
    if decord_is_installed() and all(index.decord_unsafe is None for index in indices.values()):
        found += [Ours("decord", packed), Mmaction2()]
    found += [Pyslowfast(), OpenCV()]
    with suppress(ImportError, RuntimeError, OSError):  # what it raises without FFmpeg's libraries
        import_module("torchcodec")
        found += [Torchcodec("exact"), Torchcodec("approximate")]
    return found


@contextmanager
def _steps_of(reader: Any, clock: Clock) -> Iterator[None]:
    """Count opening and converting of one of our readers apart from decoding."""
    from actiondet.video.pixels import RgbConverter

    reader._open = clock.wrap("open", reader._open, inside="decode")
    convert = RgbConverter.convert
    RgbConverter.convert = clock.wrap("convert", convert, inside="decode")  # type: ignore[method-assign]
    try:
        yield
    finally:
        RgbConverter.convert = convert  # type: ignore[method-assign]


def _transform() -> Callable[..., torch.Tensor]:
    from actiondet.data.video_transforms import VideoTrainTransform

    transform: Callable[..., Any] = VideoTrainTransform(  # Any: a tensor, for nothing is planned for a device
        short_side=(SHORT_SIDE, SHORT_SIDE),
        crop="random_resized",
        side=SIDE,
        area=(0.08, 1.0),
        aspect=(3 / 4, 4 / 3),
        scale=(1.0, 1.0),
        flip=0.5,
    )
    return transform


def _with_opencv(images: list[Any], seed: int) -> torch.Tensor:
    import cv2
    import numpy as np
    import torch

    from actiondet.data.video_transforms import random_resized_window
    from actiondet.video.scaling import scaled_size

    random = np.random.default_rng(seed)
    height, width = scaled_size(images[0].shape[0], images[0].shape[1], SHORT_SIDE)
    images = [cv2.resize(image, (width, height)) for image in images]
    top, left, rows, columns = random_resized_window(height, width, random, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3))
    images = [cv2.resize(image[top : top + rows, left : left + columns], (SIDE, SIDE)) for image in images]
    if random.random() < 0.5:
        images = [cv2.flip(image, 1) for image in images]
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(3, 0, 1, 2)))


def _in_float(images: torch.Tensor, seed: int) -> torch.Tensor:
    import numpy as np
    import torch

    from actiondet.video.scaling import scaled_size

    random = np.random.default_rng(seed)
    clip = (images.float() / 255 - 0.45) / 0.225
    clip = clip.permute(3, 0, 1, 2)
    size = scaled_size(int(clip.shape[2]), int(clip.shape[3]), int(random.integers(256, 320, endpoint=True)))
    clip = torch.nn.functional.interpolate(clip, size=size, mode="bilinear", align_corners=False)
    top, left = (int(random.integers(0, length - SIDE, endpoint=True)) for length in size)
    clip = clip[:, :, top : top + SIDE, left : left + SIDE]
    return (clip.flip(-1) if random.random() < 0.5 else clip).contiguous()
