"""Reading checkpoint files of any toolkit; nothing in them is executed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from actiondet.models.weights import restricted
from evaluation.errors import InputError
from evaluation.files import load_pickle

_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # torch's magic number, before the zip files of torch 1.6
_PICKLE = b"\x80"

# Where toolkits keep the weights among other things.
_SHELVES = ("blobs", "model_state", "state_dict", "weights", "model")


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds, as its toolkit names it.

    Attributes:
        path: the file.
        tensors: weights by the toolkit's names.
        settings: the settings stored beside the weights (PySlowFast and ourselves), else empty.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any]


def read_checkpoint(path: str | os.PathLike[str]) -> CheckpointFile:
    """Read the named weights of a .pth, .pyth, .pt, .pkl or .pdparams file; its content tells which it is.

    Raises:
        InputError: no such file, not a checkpoint, a damaged one, or one that tries to import something.
    """
    path = Path(path)
    content = read_content(path)
    shelf = next((name for name in _SHELVES if isinstance(content, dict) and isinstance(content.get(name), dict)), "")
    named = content[shelf] if shelf else content
    if not isinstance(named, dict):
        raise InputError(f"{path}: holds a {type(named).__name__}; expected weights by name")
    tensors = {name: _as_tensor(value) for name, value in named.items() if _is_weight(value)}
    if not tensors:
        raise InputError(f"{path}: holds no weights (its entries: {', '.join(map(str, list(named)[:5])) or 'none'})")
    settings = content.get("cfg", content.get("config")) if shelf else None  # PySlowFast's, ours
    return CheckpointFile(path, tensors, _read_settings(settings))


def read_content(path: Path) -> Any:
    """Everything that a checkpoint file holds, weights among it; objects that are of no use here are left empty.

    Raises:
        InputError: no such file, not a checkpoint, a damaged one, or one that tries to import something.
    """
    if not path.is_file():
        raise InputError(f"{path}: " + ("is a directory, expected a checkpoint" if path.is_dir() else "no such file"))
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_ZIP) or (head.startswith(_PICKLE) and _OLD_TORCH in head[:24]):
        return _load_torch(path)
    if head.startswith(_PICKLE):
        return load_pickle(path)
    raise InputError(f"{path}: {_what_else(head)}, not a checkpoint; was the download complete?")


def _what_else(head: bytes) -> str:
    """What a file that is no checkpoint seems to be."""
    text = head.lstrip().lower()
    if not head:
        return "an empty file"
    if text.startswith((b"<!doctype html", b"<?xml")) or b"<html" in text:
        return "a web page (perhaps an error page saved under this name)"
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, which stands for a file that was not fetched"
    return "a text file" if b"\0" not in head and head.isascii() else "a file of another kind"


def _load_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        pass  # it holds more than weights: harmless objects of a toolkit, or something else
    except Exception as fault:  # torch raises nearly anything on a damaged file
        raise _damaged(path, fault) from None
    try:
        # Not weights-only in torch's sense, but nothing runs here either: `restricted` decides what is looked up.
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=restricted)
    except InputError as fault:
        raise InputError(f"{path}: refused, {fault}") from None
    except Exception as fault:
        raise _damaged(path, fault) from None


def _damaged(path: Path, fault: Exception) -> InputError:
    """What torch says of a file that it cannot read; its first sentence is enough."""
    if "TorchScript" in str(fault):
        return InputError(f"{path}: holds a TorchScript program; expected weights by name")
    first = (str(fault).strip().splitlines() or [type(fault).__name__])[0].split(". ")[0]
    return InputError(f"{path}: a damaged or truncated checkpoint ({first})")


def _is_weight(value: object) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiub")


def _as_tensor(value: Tensor | np.ndarray[Any, Any]) -> Tensor:
    return (
        value if isinstance(value, Tensor) else torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    )


def _read_settings(text: object) -> Mapping[str, Any]:
    """Settings in YAML; anything else is not needed."""
    if not isinstance(text, str):
        return {}
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return settings if isinstance(settings, dict) else {}
