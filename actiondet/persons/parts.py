"""What a search has finished so far, one file a video, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from actiondet.persons.videos import SearchedVideo
from evaluation.errors import InputError
from evaluation.files import atomic_path, write_text
from evaluation.records import FrameKey, PersonBoxes


class SearchParts:
    """The finished videos of one search, in the folder `FILE.parts` beside its result.

    A video has either its boxes there or the sentence that says why it could not be searched.
    """

    def __init__(self, target: Path) -> None:
        """Name the folder; nothing is made yet.

        Args:
            target: the file that the search will write.
        """
        self.folder = target.with_name(target.name + ".parts")

    def open(self, settings: Mapping[str, object]) -> None:
        """Make the folder, or take it up if a search with the same settings left it.

        Raises:
            InputError: a search with other settings left it, or something else has its name.
        """
        file = self.folder / "settings.json"
        text = json.dumps(settings, indent=2, sort_keys=True)
        if file.is_file():
            theirs = json.loads(file.read_text(encoding="utf-8"))
            ours = json.loads(text)
            other = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
            if not other:
                return
            if any(self.folder.glob("videos/**/*.npz")):
                raise InputError(
                    f"{self.folder} holds a search that was stopped, made with other settings ({', '.join(other)}); "
                    "repeat its command, or delete the folder to begin anew"
                )
            self.remove()  # nothing was finished
        if self.folder.exists():
            raise InputError(f"{self.folder}: exists, but no search made it; give --out another name")
        write_text(file, text + "\n")

    def drop_outdated(self, video: SearchedVideo) -> None:
        """Forget that `video` failed, and its boxes if the file is another one by now."""
        self._fault_file(video).unlink(missing_ok=True)
        file = self._file(video)
        if file.is_file() and not (video.path.is_file() and _stamped(file, _stamp(video.path))):
            file.unlink()

    def has(self, video: SearchedVideo) -> bool:
        """Whether `video` is done with, well or badly."""
        return self._file(video).is_file() or self._fault_file(video).is_file()

    def fault(self, video: SearchedVideo) -> str | None:
        """Why `video` could not be searched; None if it could."""
        file = self._fault_file(video)
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def write_fault(self, video: SearchedVideo, fault: str) -> None:
        """Note why `video` cannot be searched."""
        write_text(self._fault_file(video), fault)

    def write(self, video: SearchedVideo, persons: list[PersonBoxes]) -> None:
        """Keep what was found in `video`."""
        counts = [len(each) for each in persons]
        with atomic_path(self._file(video)) as temporary:
            np.savez(
                temporary,
                stamp=_stamp(video.path),
                moments=np.array([each.key.moment for each in persons], dtype=np.int64),
                ends=np.cumsum(counts, dtype=np.int64),
                boxes=np.concatenate([np.zeros((0, 4), np.float32), *(each.boxes for each in persons)]),
                scores=np.concatenate([np.zeros(0, np.float32), *(each.scores for each in persons)]),
            )

    def read(self, video: SearchedVideo) -> Iterator[PersonBoxes]:
        """What was found in `video`; nothing if it could not be searched."""
        if not self._file(video).is_file():
            return
        with np.load(self._file(video), allow_pickle=False) as part:
            moments, ends, boxes, scores = (part[name] for name in ("moments", "ends", "boxes", "scores"))
        begin = 0
        for moment, end in zip(moments.tolist(), ends.tolist(), strict=True):
            yield PersonBoxes(FrameKey(video.written, moment), boxes[begin:end], scores[begin:end])
            begin = end

    def remove(self) -> None:
        """Delete the folder; the result holds everything."""
        shutil.rmtree(self.folder)

    def _file(self, video: SearchedVideo) -> Path:
        return self.folder / "videos" / f"{video.name}.npz"

    def _fault_file(self, video: SearchedVideo) -> Path:
        return self.folder / "videos" / f"{video.name}.fault"


def _stamp(path: Path) -> npt.NDArray[np.int64]:
    """What tells that a file is still the same: size and time of change."""
    facts = path.stat()
    return np.array([facts.st_size, facts.st_mtime_ns], dtype=np.int64)


def _stamped(part: Path, stamp: npt.NDArray[np.int64]) -> bool:
    try:
        with np.load(part, allow_pickle=False) as content:
            return bool(np.array_equal(content["stamp"], stamp))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False  # a disk that failed; the video is searched again
