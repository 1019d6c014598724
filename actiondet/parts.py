"""Finished parts of a long job, kept beside its result until that is written, so that an interrupted job goes on.

Any number of processes, on one machine or on several that share the folder, may write parts and look for them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from evaluation.errors import InputError
from evaluation.files import atomic_path, write_text

Part = TypeVar("Part")
Arrays = Mapping[str, npt.NDArray[Any]]
_LOOK_AGAIN = 0.5  # seconds between two looks at what the other processes have finished


class PartStore(Generic[Part]):
    """The parts of one job, each in a file of its own that is written whole or not at all.

    The name of the folder holds a digest of everything that the parts depend on: a job with other settings neither
    takes nor removes them. A part that failed has a sentence that says why, and is tried again by the next run.

    Args:
        target: the final file; the folder lies beside it, and is made with the first part.
        settings: what the parts depend on, as JSON.
        files: whose contents they depend on, too.
        pack, unpack: a part as arrays by name, and back.

    Raises:
        OSError: one of `files` cannot be read.
    """

    def __init__(
        self,
        target: Path,
        settings: object,
        files: Iterable[str | Path] = (),
        *,
        pack: Callable[[Part], Arrays],
        unpack: Callable[[Arrays], Part],
    ) -> None:
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for path in files:
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        self.folder = target.with_name(f"{target.name}.{digest.hexdigest()[:12]}.parts")
        self._pack, self._unpack = pack, unpack

    def has(self, key: str) -> bool:
        """Whether the part is finished, well or badly; keys may hold slashes."""
        return self._file(key).is_file() or self._fault_file(key).is_file()

    def put(self, key: str, part: Part) -> None:
        """Keep a part."""
        with atomic_path(self._file(key)) as temporary:
            arrays: dict[str, Any] = {**self._pack(part)}
            np.savez(temporary, **arrays)

    def put_fault(self, key: str, fault: str) -> None:
        """Keep the sentence that says why a part failed."""
        write_text(self._fault_file(key), fault)

    def get(self, key: str) -> Part:
        """A part that has not failed.

        Raises:
            InputError: it is damaged.
        """
        try:
            with np.load(self._file(key), allow_pickle=False) as arrays:
                return self._unpack(arrays)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as fault:
            raise InputError(f"{self._file(key)}: damaged ({fault}); delete it, and this part is made again") from None

    def faults(self, keys: Collection[str]) -> dict[str, str]:
        """Why some of the finished parts, each of one video, failed.

        Raises:
            InputError: all of them did.
        """
        files = {key: file for key in keys if (file := self._fault_file(key)).is_file()}
        faults = {key: file.read_text(encoding="utf-8") for key, file in files.items()}
        if len(faults) == len(keys):
            none = f"none of the {len(keys)} videos can be read; the first: " if len(keys) > 1 else ""
            raise InputError(none + next(iter(faults.values())))
        return faults

    def forget_faults(self, keys: Iterable[str]) -> None:
        """Let the failed ones among `keys` be tried again."""
        for key in keys:
            self._fault_file(key).unlink(missing_ok=True)

    def wait_for(self, keys: Iterable[str]) -> None:
        """Return once all of them are finished; if a process fails, `torchrun` ends the waiting one."""
        left = list(keys)
        while left := [key for key in left if not self.has(key)]:
            time.sleep(_LOOK_AGAIN)

    def remove(self) -> None:
        """Delete the parts: the final file holds everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, key: str, suffix: str = ".npz") -> Path:
        # Without ".." and the like: names of videos come from files, and a part stays in the folder.
        return self.folder / ("/".join(name for name in key.split("/") if name.strip(".")) + suffix)

    def _fault_file(self, key: str) -> Path:
        return self._file(key, ".fault")


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of change: they differ once a file is another one; None of one that is gone."""
    facts = path.stat() if path.is_file() else None
    return None if facts is None else (facts.st_size, facts.st_mtime_ns)
