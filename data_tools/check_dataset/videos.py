"""The video files: there, whole, decodable, of one rate, long enough, and no two of them the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from actiondet.config.schema import FrameFolderConfig
from actiondet.datasets.sources import video_candidates, walk_videos
from actiondet.video import open_video
from actiondet.video.names import without_suffix
from data_tools.check_dataset.findings import Report, some

_PIECE = 1 << 18
_SIDE = 16
# Coding changes a pixel by less (of 255); and a share of the pixels that no moving person falls short of.
_NOISE, _NOTHING_MOVES = 24, 2e-4


@dataclass(frozen=True, eq=False)
class VideoFacts:
    """What one video shows of itself.

    Attributes:
        fault: why it cannot be read; None if it can.
        frames, rate, seconds, width, height: of the readable one.
        content: fingerprint of the file.
        blank: every frame that was looked at has one colour.
        frozen: they are all the same.
        thumbnails: (3, 16, 16) uint8, small grey pictures of the beginning, the middle and the end.
    """

    fault: str | None
    frames: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    content: str = ""
    blank: bool = False
    frozen: bool = False
    thumbnails: npt.NDArray[np.uint8] | None = None


def find_files(folder: str, names: Sequence[str], *, pictures: bool, report: Report) -> dict[str, Path]:
    """Where the videos lie, by their names without suffix; a name with two files is reported.

    With `pictures`, a video is a folder of its name.
    """
    found = video_candidates(Path(folder), names, pictures=pictures)
    twice = [name for name, paths in found.items() if len(paths) > 1]
    if twice:
        report.error("video-ambiguous", folder, f"two files are called {some(twice)}", "keep one of them")
    return {name: paths[0] for name, paths in found.items()}


def spread(paths: Mapping[str, Path], most: int | None) -> dict[str, Path]:
    """At most `most` of the videos, evenly from first to last; None: all."""
    if most is None or most >= len(paths):
        return dict(paths)
    names = list(paths)
    return {names[place]: paths[names[place]] for place in np.linspace(0, len(names) - 1, most).astype(int)}


def look_at_videos(
    paths: Mapping[str, Path], pictures: FrameFolderConfig | None, processes: int
) -> dict[str, VideoFacts]:
    """Open every video and decode its first, middle and last frame, `processes` at once."""
    jobs = [(str(path), pictures) for path in paths.values()]
    if processes <= 1 or len(jobs) < 4:
        return dict(zip(paths, map(_look, jobs), strict=True))
    with ProcessPoolExecutor(processes) as pool:
        return dict(zip(paths, pool.map(_look, jobs, chunksize=4), strict=True))


def _look(job: tuple[str, FrameFolderConfig | None]) -> VideoFacts:
    path, pictures = job
    try:
        with open_video(path, reader="pyav", pictures=pictures) as reader:
            index = reader.index
            count = len(index.frame_times)
            frames = reader.read([0, count // 2, count - 1])
    except Exception as fault:  # whatever a decoder raises is a fault of the file
        return VideoFacts(fault=str(fault) or type(fault).__name__)
    rate = float(index.rate)
    seconds = float(index.frame_times[-1]) / 1e6 + (1 / rate if rate else 0.0)
    blank = bool((frames.reshape(3, -1).std(axis=1) < 1).all())
    changed = np.abs(frames[1:].astype(np.int16) - frames[:-1]).max(axis=3) > _NOISE
    frozen = count > 2 and float(changed.mean()) < _NOTHING_MOVES
    look = np.stack([_small(frame) for frame in frames])
    content = _fingerprint(path)
    return VideoFacts(None, count, rate, seconds, index.width, index.height, content, blank, frozen, look)


def _small(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _fingerprint(path: str) -> str:
    """A hash of length, beginning, middle and end: enough to know a copy."""
    file_path = Path(path)
    if file_path.is_dir():
        listing = sorted(picture for picture in file_path.iterdir() if picture.is_file())
        chosen = listing[:1] + listing[len(listing) // 2 :][:1] + listing[-1:]
        return hashlib.sha256(str(len(listing)).encode() + b"".join(p.read_bytes() for p in chosen)).hexdigest()
    size = file_path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file_path.open("rb") as file:
        for start in (0, size // 2, max(0, size - _PIECE)):
            file.seek(start)
            digest.update(file.read(_PIECE))
    return digest.hexdigest()


def report_missing(folder: str, names: Sequence[str], found: Mapping[str, Path], report: Report, *, skip: bool) -> None:
    """Say which videos are missing, and whether the truth writes their names in another way.

    With `skip` the settings leave missing videos out; as long as there are others that is only a warning.
    """
    missing = [name for name in names if name not in found]
    if not missing:
        return
    there = {path.stem.lower(): path.name for path in walk_videos(Path(folder))}
    there |= {path.name.lower(): path.name for path in Path(folder).iterdir() if path.is_dir()}
    near = [(name, there[key]) for name in missing if (key := _bare(name)) in there]
    if near:
        report.error(
            "video-name",
            folder,
            f"{len(near)} names of the truth differ from the files': '{near[0][0]}', '{near[0][1]}'",
            "name a video in column 1 as its file, without suffix, in the same case",
        )
    rest = [name for name in missing if _bare(name) not in there]
    if rest:
        tell = report.warn if skip and found else report.error
        tell(
            "video-missing",
            folder,
            f"{len(rest)} of {len(names)} videos are missing: {some(rest)}",
            "they are left out" if skip and found else "put <video>.mp4 there, or set data.unreadable=skip",
        )


def _bare(name: str) -> str:
    return without_suffix(name.strip().rsplit("/", 1)[-1].rsplit("\\", 1)[-1].lower())


def check_videos(
    folder: str, videos: Mapping[str, VideoFacts], clip_fps: float | None, report: Report, *, skip: bool
) -> None:
    """Report videos that cannot be read, that are blank, and whose rate is not that of most; `skip` as above."""
    broken = [(name, facts.fault) for name, facts in videos.items() if facts.fault]
    sound = {name: facts for name, facts in videos.items() if not facts.fault}
    tell = report.warn if skip and sound else report.error
    for name, fault in broken[:20]:
        tell("video-unreadable", f"{folder}: {name}", str(fault), "copy or cut it again, or leave it out")
    if not sound:
        return
    blank = [name for name, facts in sound.items() if facts.blank]
    if blank:
        report.warn("video-blank", folder, f"nothing is to be seen in {some(blank)}", "look at these files")
    frozen = [name for name, facts in sound.items() if facts.frozen and not facts.blank]
    if frozen:
        report.warn("video-frozen", folder, f"nothing moves in {some(frozen)}", "look at these files")
    rates = {name: round(facts.rate, 1) for name, facts in sound.items()}
    usual, votes = Counter(rates.values()).most_common(1)[0]
    odd = sorted(name for name, rate in rates.items() if abs(rate - usual) > 0.02 * usual)
    if odd and (votes > len(rates) / 2 or clip_fps is None):
        what = f"{some(odd)} run at {rates[odd[0]]:g} frames a second, most at {usual:g}"
        remedy = "cut all videos at one rate, each at its own true speed"
        if clip_fps is None:
            report.error(
                "frame-rate", folder, f"{what}, and strides count files' frames", f"{remedy}, or set clip.clip_fps"
            )
        else:
            report.warn("frame-rate", folder, what, f"{remedy}; clip.clip_fps keeps clips in time")
    if clip_fps is not None and usual < 0.34 * clip_fps:
        report.warn(
            "frame-rate-low",
            folder,
            f"{usual:g} frames a second, clips are made in {clip_fps:g}",
            "frames may repeat within a clip: extract at a higher rate or raise clip.stride",
        )
    seconds = np.array([facts.seconds for facts in sound.values()])
    report.facts.append(
        ("videos", "read", f"{len(sound)}, {seconds.min():.1f} to {seconds.max():.1f} s, {usual:g} fps")
    )


def same_content(videos: Mapping[str, VideoFacts]) -> list[tuple[str, ...]]:
    """Groups of videos whose files are copies of each other."""
    groups: dict[str, list[str]] = {}
    for name, facts in videos.items():
        if facts.content:
            groups.setdefault(facts.content, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]
