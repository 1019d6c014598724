"""Files from the hosts that toolkits put their weights on: downloaded once, checked and kept."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from filelock import FileLock

from evaluation.errors import InputError

_CHUNK = 1 << 18  # bytes
_PATIENCE = 30.0  # seconds without an answer


def cache_folder() -> Path:
    """Where downloads are kept: $ACTIONDET_CACHE, or ~/.cache/actiondet.

    Raises:
        InputError: the user has no home folder.
    """
    try:
        return Path(os.environ.get("ACTIONDET_CACHE") or Path.home() / ".cache" / "actiondet")
    except RuntimeError:
        raise InputError(
            "the user has no home folder to keep files in; set the variable ACTIONDET_CACHE to a folder for them"
        ) from None


def download(url: str, folder: Path | None = None) -> Path:
    """The file of `url`, from `folder` if it is there already.

    A broken download is taken up where it ended. If the file name ends in the first digits of the file's SHA-256
    (`-1a2b3c4d.pth`, as PyTorch's and MMAction2's do), they are checked.

    Args:
        url: http or https.
        folder: None takes `cache_folder()`.

    Raises:
        InputError: no connection, another answer than the file, or a file with another checksum.
    """
    parts = urlsplit(url)
    name = Path(parts.path).name
    if parts.scheme not in ("http", "https") or not name:
        raise InputError(f"{url}: expected an http or https address that ends in a file name")
    folder = cache_folder() if folder is None else folder
    target = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):  # several training processes want it at once
        if not target.is_file():
            part = folder / f"{name}.part"
            try:
                _fetch(url, part)
            except (OSError, http.client.HTTPException) as fault:
                raise InputError(_unreachable(url, target, fault)) from None
            _check(part, name, remedy="rerun to download it again")
            os.replace(part, target)
        else:
            _check(target, name, remedy="rerun to download it again, or put the right file there")
    return target


def _fetch(url: str, part: Path) -> None:
    """Load what `part` lacks."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "actiondet"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_PATIENCE)
    except urllib.error.HTTPError as fault:
        if fault.code != 416 or not done:  # 416: there is nothing after the part, so it is whole, or worthless
            raise
        size = re.fullmatch(r"bytes \*/(\d+)", fault.headers.get("Content-Range", ""))
        if size and int(size[1]) == done:
            return
        part.unlink()
        _fetch(url, part)
        return
    with answer:
        if answer.status != 206:  # the whole file, from a server that does not resume
            done = 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            _copy(answer, file, part.stem, done, total)
        size_now = part.stat().st_size
        if total is not None and size_now < total:
            raise ConnectionError(f"the connection broke after {size_now} of {total} bytes; run again to go on there")


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, name: str, done: int, total: int | None) -> None:
    """Write what arrives to `file`, under a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total, completed=done)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            bar.advance(task, len(chunk))


def _check(path: Path, name: str, *, remedy: str) -> None:
    """Refuse, and remove, a file whose checksum is not the one that its name ends in."""
    expected = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if expected is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    if not found.startswith(expected[1]):
        path.unlink()
        raise InputError(
            f"{name}: its SHA-256 begins with {found[: len(expected[1])]}, its name says {expected[1]}; the damaged "
            f"file was removed, {remedy}"
        )


def _unreachable(url: str, target: Path, fault: Exception) -> str:
    if isinstance(fault, urllib.error.HTTPError):
        reason = f"the server answers {fault.code} {fault.reason}"
    elif isinstance(fault, urllib.error.URLError):
        reason = f"no connection ({fault.reason})"
    else:
        reason = str(fault) or type(fault).__name__
    return f"{url}: {reason}. Without a network, load it elsewhere and put it at {target}"
