"""Where the frames of a data set's videos come from: one folder of files, or of folders of pictures."""

from __future__ import annotations

import os
import resource
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from actiondet.config.data_sets import AvaConfig, PersonDataConfig
from actiondet.video import VideoReader, open_video
from actiondet.video.kept_index import KeptIndices
from actiondet.video.names import folder_below, is_video, without_suffixes
from evaluation.errors import InputError, some
from evaluation.video_names import composed

# Files that one worker holds open at once, where clips of a video are neighbors or come once an epoch.
OPEN_READERS = 4
# What an open file of PyAV may hold: measured 5 MB at 640x360 and 9 to 40 MB in HD. (decord holds up to 200 MB.)
_OPEN_BYTES = 16 * 2**20
# Readers that one worker remembers, 20 KB for a clip of ten seconds and 650 KB for a quarter of an hour: all of AVA's.
KNOWN_READERS = 300


class VideoPlaces(Mapping[str, Path]):
    """Where videos are, by name: as text below one folder, for a quarter of a million paths would take 100 MB."""

    def __init__(self, folder: Path, places: Iterable[tuple[str, str | None]]) -> None:
        """Keep names and places, which are relative to `folder` or absolute; None for a video that is missing."""
        self._folder = folder
        # A list mostly names its videos by their places: then it is the same text.
        self._places = {name: name if name == place else place for name, place in places if place is not None}

    def __getitem__(self, name: str) -> Path:
        return self._folder / self._places[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def texts(self) -> list[str]:
        """The paths as text."""
        begin = "" if self._folder == Path() else os.path.join(self._folder, "")
        return [place if place.startswith(os.sep) else begin + place for place in self._places.values()]


class ReaderPool:
    """The readers of a data set's videos, each made when it is first asked for.

    A reader keeps the index of its video. Its file is opened by the process that reads from it, and only the files
    read last stay open; of a large set only the indices used last are kept.

    Attributes:
        paths: file or folder of each video.
        kept: the indices that earlier runs have made; None for folders of pictures.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        make_reader: Callable[..., VideoReader],
        *,
        kept: KeptIndices | None = None,
        at_once: int = OPEN_READERS,
    ) -> None:
        """Remember where the videos lie.

        Args:
            paths, kept: see the class.
            make_reader: turns a path, and `index=` what is kept of it, into a reader; a module-level function or a
                `partial` of one, so that it can be pickled.
            at_once: files that stay open.
        """
        self.paths, self.kept = paths, kept
        self._make_reader = make_reader
        self._at_once = at_once
        self._readers: OrderedDict[str, VideoReader] = OrderedDict()
        self._recent: OrderedDict[str, None] = OrderedDict()

    def reader(self, video: str) -> VideoReader:
        """The reader of `video`.

        Raises:
            InputError: it cannot be read.
        """
        if video not in self._readers:
            path = self.paths[video]
            known = {} if self.kept is None else {"index": self.kept.find(path)}
            self._readers[video] = self._make_reader(path, **known)
            if len(self._readers) > KNOWN_READERS:
                self.forget(next(iter(self._readers)))
        self._readers.move_to_end(video)
        self._recent[video] = None
        self._recent.move_to_end(video)
        if len(self._recent) > self._at_once:
            oldest, _ = self._recent.popitem(last=False)
            self._readers[oldest].close()
        return self._readers[video]

    def files(self) -> list[str]:
        """The paths as text."""
        return self.paths.texts() if isinstance(self.paths, VideoPlaces) else [*map(os.fspath, self.paths.values())]

    def forget(self, video: str) -> None:
        """Close `video` and drop its index, so that the next call looks at the file again."""
        self._recent.pop(video, None)
        reader = self._readers.pop(video, None)
        if reader is not None:
            reader.close()


def files_at_once() -> int:
    """How many files a worker may hold open for random draws from long videos, of which opening again costs a sixth.

    A quarter of the system's limit of open files, in an eighth of a core's share of the memory.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (os.cpu_count() or 1)
    return max(min(limit // 4, memory // 8 // _OPEN_BYTES), OPEN_READERS)


def find_videos(folder: str | Path, names: Iterable[str], *, pictures: bool) -> VideoPlaces:
    """Find the videos `names` in `folder`; those that are missing are absent from the result.

    A video file is known by its name without suffix, whatever its container; a name with slashes lies in a
    subfolder. With `pictures`, a video is a folder of its name. Composed and decomposed letters are the same.

    Raises:
        InputError: no such folder, or two files for one name.
    """
    return _places(folder, {name: name for name in names}, pictures=pictures)


def _places(folder: str | Path, called: Mapping[str, str], *, pictures: bool) -> VideoPlaces:
    """As `find_videos`, where `called` says by name what each video is called in the folder."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"data.videos: {folder} {'is not a folder' if folder.exists() else 'does not exist'}")
    found: dict[str, str] = {}
    more: dict[str, str] = {}
    for name, place in _candidates(folder, called.values(), pictures=pictures):
        if found.setdefault(name, place) is not place:
            more[name] = place
    spelled = list(map(composed, called.values()))
    for name in spelled if more else ():
        if name in more:
            first, second = sorted(map(os.path.basename, (found[name], more[name])))
            raise InputError(f"{folder}: video '{name}' is there twice, as {first} and {second}; keep one of them")
    return VideoPlaces(folder, zip(called, map(found.get, spelled), strict=True))


def video_candidates(folder: Path, names: Iterable[str], *, pictures: bool) -> dict[str, list[Path]]:
    """All files (or folders of images) that may be the videos `names`, as in `find_videos`; at least one each."""
    names = list(names)
    found: dict[str, list[str]] = {}
    for name, place in _candidates(folder, names, pictures=pictures):
        found.setdefault(name, []).append(place)
    spelled = ((name, composed(name)) for name in names)
    return {name: [folder / place for place in sorted(found[there])] for name, there in spelled if there in found}


def _candidates(folder: Path, names: Iterable[str], *, pictures: bool) -> Iterator[tuple[str, str]]:
    """Composed name and place of what may be the videos `names`: folders of images, or all files beside such videos.

    Each folder is listed once. Places are text: paths would take most of the time of a large set.
    """
    if pictures:
        places = ((name, folder_below(folder, name)) for name in dict.fromkeys(map(composed, names)))
        yield from ((name, _text_below(place, folder)) for name, place in places if place.is_dir())
        return
    for parent in dict.fromkeys(composed(name.rpartition("/")[0]) for name in names):
        place = folder_below(folder, parent)
        below = "" if place == folder else os.path.join(_text_below(place, folder), "")
        above = f"{parent}/" if parent else ""
        files = os.listdir(place) if place.is_dir() else []
        for stem, file in zip(without_suffixes(files), files, strict=True):
            if stem != file:
                yield composed(above + stem), below + file


def _text_below(place: Path, folder: Path) -> str:
    """`place` as seen from `folder`; as it is, if a list names a place elsewhere."""
    return str(place.relative_to(folder)) if place.is_relative_to(folder) else str(place)


def walk_videos(folder: Path, *, without: Path | None = None) -> Iterator[Path]:
    """All video files in a folder and below it; no folder is entered twice by way of links.

    Hidden files are left out, and everything in the folder `without`.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: " + ("is not a folder" if folder.exists() else "no such folder of videos"))
    left = {os.path.realpath(without)} if without is not None else set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        left.add(os.path.realpath(parent))
        folders[:] = sorted(name for name in folders if os.path.realpath(Path(parent, name)) not in left)
        for name in sorted(names):
            if is_video(name):
                yield Path(parent, name)


def videos_below(folder: Path, *, without: Path | None = None) -> list[Path]:
    """What `walk_videos` finds, sorted; an InputError if that is nothing."""
    found = sorted(walk_videos(folder, without=without))
    if not found:
        raise InputError(f"{folder}: holds no videos; expected files like .mp4, .mkv, .avi, .webm")
    return found


def locate_videos(
    folder: str | Path,
    names: Iterable[str],
    *,
    pictures: bool,
    skip_missing: bool,
    listed_in: str = "",
    bare: Mapping[str, str] | None = None,
) -> tuple[VideoPlaces, tuple[str, ...]]:
    """Where the videos `names` are, as in `find_videos`, and which of them are missing.

    Args:
        folder: of the videos.
        names: of the videos.
        pictures: videos are folders of images.
        skip_missing: leave videos out that are not there, as long as there are others.
        listed_in: what messages begin with.
        bare: what the file of each of `names` is called without suffix; None: as the name.

    Raises:
        InputError: no such folder, two files for one name, none of the videos, or a missing one unless `skip_missing`.
    """
    called = bare if bare is not None else {name: name for name in names}
    found = _places(folder, called, pictures=pictures)
    missing = tuple(name for name in called if name not in found) if len(found) < len(called) else ()
    if missing and not (skip_missing and found):
        what = "folders <video> of pictures" if pictures else "files <video>.mp4 (or .mkv, .avi, .webm, ...)"
        hint = ", or set data.unreadable=skip to leave them out" if found else ""
        count = f"{len(missing)} of {len(called)} videos are missing: {some(missing)}"
        raise InputError(f"{listed_in}{folder}: {count}; expected {what} there{hint}")
    return found, missing


def reader_pool(paths: Mapping[str, Path], data: PersonDataConfig) -> ReaderPool:
    """Read the videos at `paths` as the settings say."""
    pictures = data.pictures if isinstance(data, AvaConfig) else None
    make_reader = partial(open_video, reader=data.reader, pictures=pictures)
    kept = KeptIndices(data.videos) if pictures is None else None
    at_once = OPEN_READERS if data.reader == "decord" else files_at_once()
    return ReaderPool(paths, make_reader, kept=kept, at_once=at_once)
