"""Reading and writing files safely: whole or not at all, and never running what they hold."""

from __future__ import annotations

import errno
import gzip
import os
import pickle
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from evaluation.errors import InputError

_COMPRESSED = {".bz2", ".xz", ".zst", ".zip", ".tar", ".7z", ".lz4"}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `target`; it takes the target's place only if the block succeeds.

    The temporary name keeps the suffix, because writers choose a format by it. Missing folders are made.
    An OSError about a full disk names the target; of itself it does not say where.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as fault:
        if fault.errno in _NO_ROOM:
            raise OSError(fault.errno, os.strerror(fault.errno), os.fspath(target)) from fault
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_writable(target: str | os.PathLike[str]) -> None:
    """Refuse before long work what could not be written after it.

    Raises:
        InputError: the folder of `target` cannot be written to, or cannot be made.
    """
    folder = next(each for each in Path(target).absolute().parents if each.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{target}: cannot be written, {folder} is not a writable folder")


def check_targets(targets: Iterable[str | os.PathLike[str]], *, source: str | os.PathLike[str]) -> None:
    """Refuse what could not be written before any work is done.

    Args:
        targets: files that are to be written.
        source: the file that they are made of.

    Raises:
        InputError: a target is the source itself, a folder, or in a folder that cannot be written.
    """
    for target in map(Path, targets):
        if target.is_dir():
            raise InputError(f"{target}: is a folder, expected the name of a file to write")
        if target.exists() and os.path.exists(source) and target.samefile(source):
            raise InputError(f"{target}: is the video itself; give another name to write to")
        check_writable(target)


def check_font(path: str | None) -> None:
    """Refuse the file that --font names, if it does, before long work that ends with it.

    Raises:
        InputError: the file does not exist.
    """
    if path and not Path(path).is_file():
        raise InputError(f"--font {path}: no such file, expected a TrueType or OpenType font")


def local_file(path: str | os.PathLike[str]) -> Path:
    """The path of a regular file on the disk, which reading cannot block and which nothing fetches.

    Raises:
        InputError: an address such as http://..., a pipe or a device. OSError: no such file, or a directory.
    """
    text = os.fspath(path)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise InputError(f"{text}: is an address; expected a local file: download it first")
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), text)
    if not stat.S_ISREG(mode):
        raise InputError(f"{text}: is a pipe or a device; expected a regular file")
    return Path(path)


@contextmanager
def open_table(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Open a text file in UTF-8, or one compressed by gzip (.gz), for reading rows.

    Raises:
        InputError: an address, a pipe or device, another kind of compression, or a damaged archive (while it is
            read, too). OSError: no such file.
    """
    file = local_file(path)
    suffix = file.suffix.lower()
    if suffix in _COMPRESSED:
        raise InputError(f"{file}: is compressed as {suffix}; expected plain text or .gz: decompress it first")
    try:
        with (
            gzip.open(file, "rt", newline="", encoding="utf-8")
            if suffix == ".gz"
            else file.open(newline="", encoding="utf-8") as stream
        ):
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise InputError(f"{file}: is damaged or not compressed by gzip ({fault}); download it again") from None


def read_text(path: str | os.PathLike[str]) -> str:
    """What a text file holds, every line's end as a line feed, without the mark that Windows' programs begin with.

    Raises:
        InputError: it is not written in UTF-8. OSError: it cannot be read.
    """
    try:
        return local_file(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{os.fspath(path)}: not a text file in UTF-8; if it is an archive, give what is in it, "
            "else save it in UTF-8"
        ) from None


# What a pickle of arrays and plain containers needs; everything else could run code. Not range: a few bytes of it
# become an array that fills the memory.
_ADMITTED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "slice"),
    ("builtins", "complex"),
    ("builtins", "bytearray"),
    ("__builtin__", "set"),
    ("__builtin__", "frozenset"),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise InputError(f"it tries to import {module}.{name}; only numpy arrays and plain containers are read")
        return super().find_class(module, name)


def load_pickle(path: str | os.PathLike[str]) -> Any:
    """Read a pickle of numpy arrays and plain containers (python 2 pickles too); nothing in it is executed.

    Raises:
        InputError: no such file, not a pickle, or a pickle that tries to import anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: " + ("is a directory, not a pickle file" if path.is_dir() else "no such file"))
    try:
        with path.open("rb") as file:
            # latin1 is how numpy arrays pickled by python 2 are read; ASCII text is the same in it.
            return _ArrayUnpickler(file, encoding="latin1").load()
    except InputError as fault:
        raise InputError(f"{path}: refused, {fault}") from None
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is; it is damaged, or too large") from None
    except Exception as fault:  # an unpickler raises nearly anything on a damaged file
        raise InputError(f"{path}: not a readable pickle file ({type(fault).__name__}: {fault})") from None
