"""Annotation files as users have them (loose, in folders, in the official archives), laid where configurations look."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from evaluation.errors import InputError
from evaluation.files import atomic_path

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError)
Opener = Callable[[], IO[bytes]]


def lay_files(given: Iterable[Path], names: Collection[str], folder: Path) -> dict[str, Path]:
    """Copy the files called `names` from what is given into `folder`.

    A given zip, tar or folder is searched at any depth; of a name with slashes, the last folders must agree, too. A
    file called `<name>.txt` is taken for `<name>`: that is how
    the archive of AVA 2.1 spells one of them. What is not given but lies in `folder` already counts, too.

    Returns:
        {name: path in `folder`} of those that are there.

    Raises:
        InputError: nothing of that name exists, an archive is damaged, what is given holds none of `names`, or two
            different files of one name are given.
    """
    laid: dict[str, tuple[str, Path]] = {}
    for path in given:
        try:
            with _files_of(path) as files:
                used = [(name, opener) for found, opener in files for name in names if _is_called(found, name)]
                if not used:
                    raise InputError(f"{path}: holds none of the files that are needed: {', '.join(sorted(names))}")
                for name, opener in used:
                    digest = _copy(opener, folder / name)
                    earlier, where = laid.setdefault(name, (digest, path))
                    if earlier != digest:
                        raise InputError(f"{where} and {path} hold different files called {name}; give one of them")
        except _DAMAGED as fault:
            raise InputError(f"{path}: is damaged ({fault}); fetch it again") from None
    return {name: folder / name for name in names if (folder / name).is_file()}


def _is_called(path: str, name: str) -> bool:
    return f"/{path}".endswith((f"/{name}", f"/{name}.txt"))


def _copy(opener: Opener, target: Path) -> str:
    """Copy a file, and return a fingerprint of what it holds."""
    digest = hashlib.sha256()
    with opener() as source, atomic_path(target) as temporary, temporary.open("wb") as file:
        while piece := source.read(1 << 20):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


@contextmanager
def _files_of(path: Path) -> Iterator[list[tuple[str, Opener]]]:
    """The files that a path stands for, each with its path."""
    if path.is_dir():
        # A folder may be the very one that files are laid into: unfinished ones are hidden.
        found = sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
        yield [(each.as_posix(), _opener(each)) for each in found]
    elif not path.is_file():
        raise InputError(f"{path}: no such file; expected annotation files, a folder or an archive of them")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not PurePosixPath(name).name.startswith(".")]
            yield [(name, _zip_opener(archive, name)) for name in names]
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive_:
            members = [member for member in archive_.getmembers() if member.isfile()]
            yield [(member.name, _tar_opener(archive_, member)) for member in members]
    else:
        yield [(path.as_posix(), _opener(path))]


def _opener(path: Path) -> Opener:
    return lambda: path.open("rb")


def _zip_opener(archive: zipfile.ZipFile, name: str) -> Opener:
    return lambda: archive.open(name)


def _tar_opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Opener:
    def opened() -> IO[bytes]:
        file = archive.extractfile(member)
        assert file is not None
        return file

    return opened
