"""Reading checkpoint files of any toolkit; nothing in them is executed."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from actiondet.models.weights import restricted
from actiondet.models.weights.restricted import Inert
from evaluation.errors import InputError

_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # torch's magic number, before the zip files of torch 1.6
_PICKLE = b"\x80"

# Entries that hold no network: a training's own state.
_NO_NETWORKS = re.compile(r"optim|sched|scaler|message_hub|^training$|^meta$", re.IGNORECASE)
_DEEPEST = 3  # entries within entries: a wrapper's, a trainer's, a network's


@dataclass(frozen=True)
class CheckpointFile:
    """Named weights of a file, as their toolkit names them.

    Attributes:
        path: the file.
        tensors: weights by the toolkit's names.
        settings: the settings stored beside the weights (PySlowFast and ourselves), else empty.
        meta: what mmengine and mmcv keep beside the weights, else empty.
        entry: where in the file they are: "state_dict", "model.state_dict"; "" if the file holds nothing else.
        aside: what lies beside the network under the same entry, and why it is not taken.
        remarks: which of several networks of the file this is.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    entry: str = ""
    aside: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_entries(path: Path, content: Any) -> list[CheckpointFile]:
    """Every set of named weights in a file, the outer ones first.

    Args:
        path: the file.
        content: what `read_content` finds in it.

    Raises:
        InputError: it holds no weights by name.
    """
    if isinstance(content, Inert):
        raise InputError(
            f"{path}: holds a whole network as a Python object; expected its state_dict(), weights by name"
        )
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}; expected weights by name")
    level: list[tuple[str, dict[Any, Any], Mapping[str, Any], Mapping[str, Any]]] = [("", content, {}, {})]
    found = []
    for _ in range(_DEEPEST + 1):
        below = []
        for entry, tree, outer, outer_meta in level:
            settings = _read_settings(tree.get("cfg", tree.get("config"))) or outer  # PySlowFast's, ours
            meta = tree["meta"] if isinstance(tree.get("meta"), dict) else outer_meta
            tensors = {name: _as_tensor(value) for name, value in tree.items() if _is_weight(name, value)}
            if tensors:
                found.append(CheckpointFile(path, tensors, settings, meta, entry))
            below += [
                (f"{entry}.{name}".lstrip("."), value, settings, meta)
                for name, value in tree.items()
                if isinstance(name, str) and isinstance(value, dict) and not _NO_NETWORKS.search(name)
            ]
        level = below
    if not found:
        raise InputError(f"{path}: holds no weights (its entries: {', '.join(map(str, list(content)[:5])) or 'none'})")
    return found


def read_content(path: Path) -> Any:
    """Everything that a checkpoint file holds, weights among it; objects that are of no use here are left empty.

    Its first bytes show what kind of file it is: .pth, .pyth, .pt, .ckpt, .pkl, .pdparams or .safetensors.

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
        return _load_pickle(path)
    if re.match(rb"[\s\S]{6}\0\0\{", head):  # the length of a header, and its first character
        return _load_safetensors(path)
    raise InputError(f"{path}: {_what_else(head)}, not a checkpoint; was the download complete?")


def _what_else(head: bytes) -> str:
    """What a file that is not a checkpoint seems to be."""
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


def _load_pickle(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            # latin1 is how numpy arrays pickled by python 2 are read; ASCII text is the same in it.
            return restricted.load(file, encoding="latin1")
    except InputError as fault:
        raise InputError(f"{path}: refused, {fault}") from None
    except Exception as fault:  # an unpickler raises nearly anything on a damaged file
        raise InputError(f"{path}: not a readable pickle file ({type(fault).__name__}: {fault})") from None


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as fault:
        raise _damaged(path, fault) from None
    return tensors


def _damaged(path: Path, fault: Exception) -> InputError:
    """What torch says of a file that it cannot read; its first sentence is enough."""
    if "TorchScript" in str(fault):
        return InputError(f"{path}: holds a TorchScript program; expected weights by name")
    first = (str(fault).strip().splitlines() or [type(fault).__name__])[0].split(". ")[0]
    return InputError(f"{path}: a damaged or truncated checkpoint ({first})")


def _is_weight(name: object, value: object) -> bool:
    return isinstance(name, str) and (
        isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiub")
    )


def _as_tensor(value: Tensor | np.ndarray[Any, Any]) -> Tensor:
    return (
        value if isinstance(value, Tensor) else torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    )


def _read_settings(text: object) -> Mapping[str, Any]:
    """Settings in YAML, or as they are; anything else is not needed."""
    if isinstance(text, dict):
        return text
    if not isinstance(text, str):
        return {}
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return settings if isinstance(settings, dict) else {}
