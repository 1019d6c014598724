"""A stand-in for Python's pickle module that builds tensors, arrays and plain containers, and runs nothing.

Training checkpoints of some toolkits hold logs and settings beside the weights. Those objects are replaced by inert
ones; any other import is refused. `torch.load(..., pickle_module=restricted)` is how it is used.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import torch

from evaluation.errors import InputError

# What rebuilds tensors and numpy arrays; storages are resolved by torch itself.
_REBUILT = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
    ),
}
# Packages whose objects stand in published training files, and single names that go with them.
_SKIPPED_PACKAGES = {
    "addict",
    "argparse",
    "datetime",
    "easydict",
    "fvcore",
    "lightning",
    "lightning_fabric",
    "mmaction",
    "mmcv",
    "mmdet",
    "mmengine",
    "numpy",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
    "yacs",
}
_SKIPPED_NAMES = {
    ("collections", "Counter"),
    ("collections", "defaultdict"),
    ("collections", "deque"),
    ("copyreg", "_reconstructor"),
    ("torch", "device"),
    *(
        ("builtins", name)
        for name in (
            *("bool", "bytearray", "complex", "dict", "float", "frozenset", "int", "list"),
            *("object", "range", "set", "slice", "str", "tuple"),
        )
    ),
    # A pickle holds a method as getattr(class, name): here a call of what is inert.
    ("builtins", "getattr"),
}
# Protocol 2, which torch writes, has the names of Python 2.
_PYTHON_3 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Inert:
    """Stands for an object that is not needed; takes whatever its pickle says and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> Inert:
        """Ignore what the object was made from."""
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __call__(self, *args: object, **kwargs: object) -> Inert:
        """Ignore what the object is called with."""
        return self

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def add(self, item: object) -> None:
        """Ignore an entry of a set."""

    def append(self, item: object) -> None:
        """Ignore an entry of a list."""

    def extend(self, items: object) -> None:
        """Ignore entries of a list."""


class Unpickler(pickle.Unpickler):
    """Refuses every import but those of tensors and arrays; skips objects that are known to be of no use here."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function that a pickle names."""
        if (module, name) in _REBUILT:
            return super().find_class(module, name)
        if module == "torch" and isinstance(kind := getattr(torch, name, None), torch.dtype):
            return kind
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _load_from_bytes
        module = _PYTHON_3.get(module, module)
        if module.split(".")[0] in _SKIPPED_PACKAGES or (module, name) in _SKIPPED_NAMES:
            return Inert
        if module.startswith("torch.nn."):
            raise InputError("it holds a whole network as a Python object; save its state_dict(), weights by name")
        raise InputError(f"it tries to import {module}.{name}; only weights and plain containers are read")


def _load_from_bytes(content: bytes) -> Any:
    """A tensor's numbers in a plain pickle, which are a file of torch's."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def load(file: Any, **options: Any) -> Any:
    """Like pickle.load; torch calls it for the parts of its older files."""
    return Unpickler(file, **options).load()
