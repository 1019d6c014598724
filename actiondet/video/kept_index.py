"""The indices of a folder's videos, kept in one file from run to run and shared by all processes that read it."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import weakref
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from actiondet.downloads import cache_folder
from actiondet.video.index import IntArray, VideoIndex, index_video
from actiondet.video.packing import pack_index, unpack_index
from evaluation.errors import InputError
from evaluation.files import atomic_path

FILE_NAME = ".actiondet-index"
# Changes with what an index says; a file that begins otherwise is ignored and written again.
_BEGINNING = b"actiondet index, form 1\n"  # 24 bytes, so that the numbers are aligned
_COUNT = struct.Struct("<q")
_HEAD = len(_BEGINNING) + _COUNT.size


class Packed(NamedTuple):
    """The packed index of a file, and the file's size in bytes and time in milliseconds when it was made.

    A file that cannot be read has the index b"", so that it is tried again only after it has changed.
    """

    stamp: tuple[int, int]
    content: bytes


@dataclass(frozen=True, eq=False, repr=False)
class _Table:
    """What the file holds: N videos, by rising digest.

    Attributes:
        digests: (N,) of the videos' names.
        stamps: (N, 2) size in bytes and time of the last change in milliseconds.
        ends: (N + 1,) video n has the bytes ends[n] ... ends[n + 1] - 1 of what follows.
        file: descriptor of the file, which holds the packed indices, one after the other, at its end.
    """

    digests: npt.NDArray[np.uint64]
    stamps: IntArray
    ends: IntArray
    file: int

    def packed(self, row: int) -> bytes:
        """The packed index of a video. It is read: mapped pages would count as memory of each process."""
        begin, end = self.ends[row : row + 2].tolist()
        return os.pread(self.file, end - begin, _packed_from(len(self.digests)) + begin)

    def rows(self, digests: npt.NDArray[np.uint64]) -> IntArray:
        """(M,) the row of each of `digests`, -1 where there is none."""
        if len(self.digests) == 0:
            return np.full(len(digests), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.digests, digests), len(self.digests) - 1)
        return np.where(self.digests[rows] == digests, rows, -1)

    def changed(self, rows: IntArray, paths: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(M,) whether the file of each of `rows` has another size or time by now."""
        stamps = np.array([_stamp(path) for path in paths], dtype=np.int64).reshape(-1, 2)
        found: npt.NDArray[np.bool_] = (self.stamps[rows] != stamps).any(axis=1)
        return found


_EMPTY = _Table(np.zeros(0, np.uint64), np.zeros((0, 2), np.int64), np.zeros(1, np.int64), file=-1)


class KeptIndices:
    """What `index_video` said of the video files below one folder.

    The file lies in that folder, or in the cache where the folder cannot be written to. Its table is mapped into
    memory, so that all processes of a machine share it. An index counts only while its video has the size and the time
    that it had. Any number of processes and machines may read and add at the same time.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Look at the videos below `folder`; its file is opened at the first use in each process."""
        self._folder = str(Path(folder))  # as the paths below it begin
        self._table: _Table | None = None

    @property
    def path(self) -> Path:
        """The file."""
        if os.access(self._folder, os.W_OK):
            return self._beside
        name = hashlib.sha256(os.path.realpath(self._folder).encode()).hexdigest()[:16]
        return cache_folder() / "indices" / f"{name}{FILE_NAME}"

    @property
    def _beside(self) -> Path:
        return Path(self._folder, FILE_NAME)

    def find(self, path: str | os.PathLike[str]) -> VideoIndex | None:
        """The index of a video file; None where none is kept, where the file has changed, or where it is unreadable."""
        table, path = self._opened(), os.fspath(path)
        row = int(table.rows(self._digests([path]))[0])
        if row < 0 or not np.array_equal(table.stamps[row], _stamp(path)):
            return None
        try:
            packed = table.packed(row)
            return unpack_index(packed, path) if packed else None
        except (OSError, zlib.error, ValueError, struct.error):  # the disk has changed it
            return None

    def lacking(self, paths: Sequence[str], *, looks: int | None = None) -> list[str]:
        """Those of `paths` of which nothing is kept, or of which the file has changed.

        Args:
            paths: of video files.
            looks: at so many files, evenly spread; at all of them only where one of these has changed. None looks at
                all, which takes most of the time. `find` looks at its file in any case.
        """
        table = self._opened()
        rows = table.rows(self._digests(paths))
        lacking, known = np.flatnonzero(rows < 0), np.flatnonzero(rows >= 0)
        sample = known if looks is None else known[:: max(-(-len(known) // looks), 1)]
        changed = table.changed(rows[sample], [paths[place] for place in sample.tolist()])
        if changed.any() and len(sample) < len(known):
            sample = known
            changed = table.changed(rows[known], [paths[place] for place in known.tolist()])
        return [paths[place] for place in np.sort(np.concatenate([lacking, sample[changed]])).tolist()]

    def add(self, packed: Mapping[str, Packed]) -> None:
        """Keep what `packed_index` said of files, unless another process has done so in the meantime.

        Args:
            packed: by path.

        Raises:
            OSError: the file cannot be written.
        """
        place = self.path
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_name(f"{place.name}.lock")):
            self.reopen()
            fresh = self.lacking(list(packed))
            if fresh:
                with atomic_path(place) as temporary:
                    _write(temporary, self._opened(), self._digests(fresh), [packed[path] for path in fresh])
        self.reopen()

    def reopen(self) -> None:
        """Look again at the file, which another process may have written."""
        self._table = None

    def _opened(self) -> _Table:
        if self._table is None:
            found = (_read(place) for place in dict.fromkeys((self.path, self._beside)))
            self._table = next((table for table in found if table is not None), _EMPTY)
        return self._table

    def _digests(self, paths: Iterable[str]) -> npt.NDArray[np.uint64]:
        """(N,) of the names below the folder, which are the same on every machine; of whole paths elsewhere."""
        begin = "" if self._folder == "." else os.path.join(self._folder, "")
        names = (path.removeprefix(begin).encode("utf-8", "surrogateescape") for path in paths)
        raw = b"".join(hashlib.blake2b(name, digest_size=8).digest() for name in names)
        return np.frombuffer(raw, dtype="<u8")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}


def packed_index(path: str) -> Packed:
    """Index a video file."""
    stamp = _stamp(path)
    try:
        return Packed(stamp, pack_index(index_video(path)))
    except (InputError, OSError):
        return Packed(stamp, b"")


def _stamp(path: str) -> tuple[int, int]:
    """Size in bytes, and milliseconds of the last change: file systems keep different fractions of these."""
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns // 1_000_000


def _write(path: Path, old: _Table, digests: npt.NDArray[np.uint64], new: Sequence[Packed]) -> None:
    """Write `old` with further videos, which replace those of the same digest."""
    kept = np.flatnonzero(~np.isin(old.digests, digests))
    parts = [old.packed(row) for row in kept.tolist()] + [each.content for each in new]
    all_digests = np.concatenate([old.digests[kept], digests])
    order = np.argsort(all_digests)
    stamps = np.concatenate([old.stamps[kept], np.array([each.stamp for each in new], dtype=np.int64)])
    lengths = np.array([len(part) for part in parts], dtype=np.int64)[order]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    with path.open("wb") as file:
        file.write(_BEGINNING + _COUNT.pack(len(all_digests)))
        for numbers in (all_digests[order], stamps[order], ends):
            file.write(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
        file.writelines(parts[place] for place in order.tolist())


def _read(path: Path) -> _Table | None:
    """The table of a file, mapped; None where there is none, or none that can be used."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        table = _mapped(file)
    except (OSError, ValueError):  # a folder, or another process cuts it off
        table = None
    if table is None:
        os.close(file)
    else:
        weakref.finalize(table, os.close, file)
    return table


def _mapped(file: int) -> _Table | None:
    head = os.pread(file, _HEAD, 0)
    if len(head) < _HEAD or head[: len(_BEGINNING)] != _BEGINNING:
        return None
    (count,) = _COUNT.unpack_from(head, len(_BEGINNING))
    size, after = os.fstat(file).st_size, _packed_from(count)
    if count < 0 or size < after:
        return None
    numbers = np.frombuffer(mmap.mmap(file, after, access=mmap.ACCESS_READ), dtype="<i8", offset=_HEAD)
    ends = numbers[3 * count :]
    if size != after + int(ends[-1]) or ends[0] != 0 or (np.diff(ends) < 0).any():
        return None
    return _Table(
        digests=numbers[:count].view("<u8"),
        stamps=numbers[count : 3 * count].reshape(-1, 2),
        ends=ends,
        file=file,
    )


def _packed_from(count: int) -> int:
    """Where the packed indices begin in a file of `count` videos."""
    return _HEAD + 8 * (4 * count + 1)
