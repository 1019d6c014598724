"""The indices of a folder's videos, kept in one file from run to run and shared by all processes that read it."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
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
        ends: (N + 1,) video n has the bytes ends[n] ... ends[n + 1] - 1 of `packed`.
        packed: their packed indices, one after the other.
    """

    digests: npt.NDArray[np.uint64]
    stamps: IntArray
    ends: IntArray
    packed: memoryview

    def rows(self, digests: npt.NDArray[np.uint64]) -> IntArray:
        """(M,) the row of each of `digests`, -1 where there is none."""
        if len(self.digests) == 0:
            return np.full(len(digests), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.digests, digests), len(self.digests) - 1)
        return np.where(self.digests[rows] == digests, rows, -1)


_EMPTY = _Table(np.zeros(0, np.uint64), np.zeros((0, 2), np.int64), np.zeros(1, np.int64), memoryview(b""))


class KeptIndices:
    """What `index_video` said of the video files below one folder.

    The file lies in that folder, or in the cache where the folder cannot be written to. It is mapped into memory, so
    that all processes of a machine share it. An index counts only while its video has the size and the time that it
    had. Any number of processes and machines may read and add at the same time.
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
        packed = table.packed[table.ends[row] : table.ends[row + 1]]
        try:
            return unpack_index(packed, path) if len(packed) else None
        except (zlib.error, ValueError, struct.error):  # the disk has changed it
            return None

    def lacking(self, paths: Sequence[str]) -> list[str]:
        """Those of `paths` of which nothing is kept, or of which the file has changed."""
        table = self._opened()
        rows = table.rows(self._digests(paths))
        stamps = np.array([_stamp(path) for path in paths], dtype=np.int64).reshape(-1, 2)
        known = rows >= 0
        known[known] = (table.stamps[rows[known]] == stamps[known]).all(axis=1)
        return [paths[place] for place in np.flatnonzero(~known).tolist()]

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
                table = _joined(self._opened(), self._digests(fresh), [packed[path] for path in fresh])
                with atomic_path(place) as temporary:
                    _write(table, temporary)
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
        """(N,) of the names below the folder, which are the same on every machine."""
        begin = 0 if self._folder == "." else len(self._folder.rstrip(os.sep)) + 1
        raw = b"".join(
            hashlib.blake2b(path[begin:].encode("utf-8", "surrogateescape"), digest_size=8).digest() for path in paths
        )
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


def _joined(old: _Table, digests: npt.NDArray[np.uint64], new: Sequence[Packed]) -> _Table:
    """`old` with further videos, which replace those of the same digest."""
    kept = np.flatnonzero(~np.isin(old.digests, digests))
    parts = [old.packed[old.ends[row] : old.ends[row + 1]] for row in kept.tolist()] + [each.content for each in new]
    all_digests = np.concatenate([old.digests[kept], digests])
    order = np.argsort(all_digests)
    stamps = np.concatenate([old.stamps[kept], np.array([each.stamp for each in new], dtype=np.int64)])
    lengths = np.array([len(part) for part in parts], dtype=np.int64)[order]
    return _Table(
        digests=all_digests[order],
        stamps=stamps[order],
        ends=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        packed=memoryview(b"".join(parts[place] for place in order.tolist())),
    )


def _write(table: _Table, path: Path) -> None:
    with path.open("wb") as file:
        file.write(_BEGINNING + _COUNT.pack(len(table.digests)))
        for numbers in (table.digests, table.stamps, table.ends):
            file.write(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
        file.write(table.packed)


def _read(path: Path) -> _Table | None:
    """The table of a file, mapped; None where there is none, or none that can be used."""
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):  # mmap refuses an empty file
        return None
    begin = len(_BEGINNING) + _COUNT.size
    if len(content) < begin or content[: len(_BEGINNING)] != _BEGINNING:
        return None
    (count,) = _COUNT.unpack_from(content, len(_BEGINNING))
    after = begin + 8 * (4 * count + 1)
    if count < 0 or len(content) < after:
        return None
    numbers = np.frombuffer(content[begin:after], dtype="<i8")
    ends = numbers[3 * count :]
    if len(content) != after + int(ends[-1]):
        return None
    return _Table(
        digests=numbers[:count].view("<u8"),
        stamps=numbers[count : 3 * count].reshape(-1, 2),
        ends=ends,
        packed=content[after:],
    )
