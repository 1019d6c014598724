"""The video files: there, whole, decodable, of one rate, long enough, and no two of them the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from actiondet.config.data_sets import AvaConfig, FrameFolderConfig, MultiSportsConfig
from actiondet.config.recognition import VideoDataConfig
from actiondet.datasets.sources import video_candidates, walk_videos
from actiondet.video import FrameFolder, open_video
from actiondet.video.names import without_suffix
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.picture_files import picture_fault
from data_tools.workers import results_in_order
from evaluation.errors import some

Kept = TypeVar("Kept")

_PIECE = 1 << 18
_SIDE = 16
# Coding changes a pixel by less (of 255); and a share of the pixels that no moving person falls short of.
_NOISE, _NOTHING_MOVES = 24, 2e-4


@dataclass(frozen=True, eq=False)
class VideoFacts:
    """What one video shows of itself.

    Attributes:
        path: file or folder.
        fault: why it cannot be read; None if it can.
        frames, rate, seconds, width, height: of the readable one.
        content: fingerprint of the file.
        blank: every frame that was looked at has one color.
        frozen: they are all the same.
        thumbnails: (3, 16, 16) uint8, small gray pictures of the beginning, the middle and the end.
    """

    path: Path
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


def look_at_videos(
    data: AvaConfig | MultiSportsConfig | VideoDataConfig,
    names: Sequence[str],
    report: Report,
    *,
    clip_fps: float | None,
    stride: int | None,
    processes: int,
    look: int | None,
) -> dict[str, VideoFacts] | None:
    """Find the videos of a data set, and decode first, middle and last frame of each.

    Args:
        data: settings that say where the videos are.
        names: of the videos, without suffix.
        report: takes which are missing, in two places, unreadable, blank, or of a rate that does not suit.
        clip_fps: the rate that strides of clips count; None: each file's own.
        stride: distance of the frames of a clip; None: clips are spread over the whole video.
        processes: videos that are looked at side by side.
        look: decode at most so many videos, spread evenly; None decodes all.

    Returns:
        What was seen of those that were decoded, by name; None without a folder of videos.
    """
    folder, pictures = Path(data.videos), None if isinstance(data, MultiSportsConfig) else data.pictures
    if not folder.is_dir():
        report.error("video-folder", "data.videos", f"{folder} is not a folder", "give the folder of the videos")
        return None
    candidates = video_candidates(folder, names, pictures=pictures is not None)
    twice = [name for name, paths in candidates.items() if len(paths) > 1]
    if twice:
        report.error("video-ambiguous", data.videos, f"two files are called {some(twice)}", "keep one of them")
    skip = data.unreadable == "skip"
    _report_missing(data.videos, names, candidates, report, skip=skip, pictures=pictures is not None)
    jobs = [(paths[0], pictures) for paths in spread(candidates, look).values()]
    looked = results_in_order(_look, jobs, processes if len(jobs) > 3 else 1)
    videos = dict(zip(spread(candidates, look), looked, strict=True))
    sound = {name: facts for name, facts in videos.items() if facts.fault is None}
    note = report.warn if skip and sound else report.error  # as long as there are others, those are left out
    for name, facts in [each for each in videos.items() if each[1].fault is not None][:20]:
        note("video-unreadable", f"{folder}: {name}", str(facts.fault), "copy or cut it again, or leave it out")
    if sound:
        _check_pictures(data.videos, sound, report)
        usual = _check_rates(data.videos, sound, clip_fps, report, stride=stride)
        seconds = np.array([facts.seconds for facts in sound.values()])
        span = f"{seconds.min():.1f} to {seconds.max():.1f} s"
        report.facts.append(("videos", "read", f"{len(sound)}, {span}, {usual:g} fps"))
    return videos


def readable(videos: Mapping[str, VideoFacts]) -> dict[str, Path]:
    """Where the videos lie that can be read."""
    return {name: facts.path for name, facts in videos.items() if facts.fault is None}


def spread(videos: Mapping[str, Kept], most: int | None) -> dict[str, Kept]:
    """At most `most` of the videos, evenly from first to last; None: all."""
    if most is None or most >= len(videos):
        return dict(videos)
    names = list(videos)
    return {names[place]: videos[names[place]] for place in np.linspace(0, len(names) - 1, most).astype(int)}


def _look(job: tuple[Path, FrameFolderConfig | None]) -> VideoFacts:
    path, pictures = job
    try:
        with open_video(path, reader="pyav", pictures=pictures) as reader:
            index = reader.index
            count = len(index.frame_times)
            frames = reader.read([0, count // 2, count - 1])
            if isinstance(reader, FrameFolder) and (fault := picture_fault(map(reader.file, range(count)))):
                return VideoFacts(path, fault)
    except Exception as fault:  # whatever a decoder raises is a fault of the file
        return VideoFacts(path, str(fault) or type(fault).__name__)
    rate = float(index.rate)
    seconds = float(index.frame_times[-1]) / 1e6 + (1 / rate if rate else 0.0)
    blank = bool((frames.reshape(3, -1).std(axis=1) < 1).all())
    changed = np.abs(frames[1:].astype(np.int16) - frames[:-1]).max(axis=3) > _NOISE
    frozen = count > 2 and float(changed.mean()) < _NOTHING_MOVES
    look = np.stack([_small(frame) for frame in frames])
    content = _fingerprint(path)
    return VideoFacts(path, None, count, rate, seconds, index.width, index.height, content, blank, frozen, look)


def _small(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _fingerprint(path: Path) -> str:
    """A hash of length, beginning, middle and end: enough to know a copy."""
    if path.is_dir():
        listing = sorted(picture for picture in path.iterdir() if picture.is_file())
        chosen = listing[:1] + listing[len(listing) // 2 :][:1] + listing[-1:]
        return hashlib.sha256(str(len(listing)).encode() + b"".join(p.read_bytes() for p in chosen)).hexdigest()
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for start in (0, size // 2, max(0, size - _PIECE)):
            file.seek(start)
            digest.update(file.read(_PIECE))
    return digest.hexdigest()


def _report_missing(
    folder: str, names: Sequence[str], found: Collection[str], report: Report, *, skip: bool, pictures: bool
) -> None:
    """Say which videos are missing, and whether the truth writes their names in another way.

    With `skip` the settings leave missing videos out; as long as there are others that is only a warning.
    """
    missing = [name for name in names if name not in found]
    missing = _report_other_kind(folder, missing, report, pictures=pictures)
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
        note = report.warn if skip and found else report.error
        note(
            "video-missing",
            folder,
            f"{len(rest)} of {len(names)} videos are missing: {some(rest)}",
            "they are left out" if skip and found else "put <video>.mp4 there, or set data.unreadable=skip",
        )


def _report_other_kind(folder: str, missing: Sequence[str], report: Report, *, pictures: bool) -> list[str]:
    """Report folders where files are expected, and files where folders are; return the names that are neither."""
    if pictures:
        files = {name: paths[0] for name, paths in video_candidates(Path(folder), missing, pictures=False).items()}
        if files:
            name, path = next(iter(files.items()))
            report.error(
                "videos-are-files",
                folder,
                f"'{name}' is a video file, {path.name}, not a folder of pictures ({len(files)} such videos)",
                "set data.pictures=null",
            )
        return [name for name in missing if name not in files]
    bare = [without_suffix(name) for name in missing]
    folders = {name: paths[0] for name, paths in video_candidates(Path(folder), bare, pictures=True).items()}
    if folders:
        name, path = next(iter(folders.items()))
        report.error(
            "videos-are-folders",
            folder,
            f"'{name}' is a folder, not a video file; it holds "
            f"{some(sorted(entry.name for entry in path.iterdir()), 2)} ({len(folders)} such videos)",
            "set data.pictures={template: 'img_{:05d}.jpg', first: 1, fps: 30}, as the pictures are named",
        )
    return [name for name in missing if without_suffix(name) not in folders]


def _bare(name: str) -> str:
    return without_suffix(name.strip().rsplit("/", 1)[-1].rsplit("\\", 1)[-1].lower())


def _check_pictures(folder: str, sound: Mapping[str, VideoFacts], report: Report) -> None:
    """Report videos of which there is nothing to see."""
    still = [name for name, facts in sound.items() if facts.frames == 1]
    if still:
        report.error(
            "video-one-frame", folder, f"has a single frame: {some(still)}", "cut it again; a picture shows no action"
        )
    blank = [name for name, facts in sound.items() if facts.blank]
    if blank:
        report.warn("video-blank", folder, f"nothing is to be seen in {some(blank)}", "look at these files")
    frozen = [name for name, facts in sound.items() if facts.frozen and not facts.blank]
    if frozen:
        report.warn("video-frozen", folder, f"nothing moves in {some(frozen)}", "look at these files")


def _check_rates(
    folder: str, sound: Mapping[str, VideoFacts], clip_fps: float | None, report: Report, *, stride: int | None
) -> float:
    """Report rates that differ where strides count frames, and those too low for a clip; return the usual one."""
    rates = {name: round(facts.rate, 1) for name, facts in sound.items()}
    usual, votes = Counter(rates.values()).most_common(1)[0]
    # A clip takes clip_fps / stride frames a second.
    least = 0.0 if clip_fps is None or stride is None else clip_fps / stride
    low = sorted(name for name, rate in rates.items() if rate < 0.98 * least)
    if low and clip_fps is not None and stride is not None:
        slowest = min(rates[name] for name in low)
        report.warn(
            "frame-rate-low",
            folder,
            f"{some(low)}: {slowest:g} frames a second, but a clip takes {least:g} a second (its rate "
            f"{clip_fps:g}, divided by clip.stride {stride}): frames repeat within a clip",
            f"extract at a higher rate, or raise clip.stride to {int(np.ceil(clip_fps / max(slowest, 0.1)))}",
        )
    odd = sorted(name for name, rate in rates.items() if abs(rate - usual) > 0.02 * usual and name not in low)
    if odd and (votes > len(rates) / 2 or clip_fps is None):
        what = f"{some(odd)} run at {rates[odd[0]]:g} frames a second, most at {usual:g}"
        if clip_fps is None:
            remedy = "cut all videos at one rate, each at its own true speed, or set clip.clip_fps"
            report.error("frame-rate", folder, f"{what}, and strides count files' frames", remedy)
        else:
            remedy = "nothing to do if they were recorded so: clips are made in time, not in frames"
            report.warn("frame-rate", folder, what, remedy)
    return usual


def same_content(videos: Mapping[str, VideoFacts]) -> list[tuple[str, ...]]:
    """Groups of videos whose files are copies of each other."""
    groups: dict[str, list[str]] = {}
    for name, facts in videos.items():
        if facts.content:
            groups.setdefault(facts.content, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]
