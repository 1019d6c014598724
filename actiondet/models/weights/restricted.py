"""A stand-in for Python's pickle module that builds tensors and plain containers, and runs nothing.

Training checkpoints of some toolkits hold logs and settings beside the weights. Those objects are replaced by inert
ones; any other import is refused. `torch.load(..., pickle_module=restricted)` is how it is used.
"""

from __future__ import annotations

import pickle
from typing import Any

from evaluation.errors import InputError

# Everything that torch's own files need to rebuild tensors; storages are resolved by torch itself.
_REBUILT = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}
# Packages whose objects stand in published training files, and single names that go with them.
_SKIPPED_PACKAGES = {"mmengine", "mmcv", "mmaction", "mmdet", "numpy", "fvcore", "yacs", "pathlib", "datetime"}
_SKIPPED_NAMES = {("argparse", "Namespace"), ("collections", "deque"), ("_codecs", "encode"), ("builtins", "getattr")}


class Inert:
    """Stands for an object that is not needed; takes whatever its pickle says and does nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> Inert:
        """Ignore what the object was made from."""
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, item: object) -> None:
        """Ignore an entry of a list."""

    def extend(self, items: object) -> None:
        """Ignore entries of a list."""


class Unpickler(pickle.Unpickler):
    """Refuses every import but those of tensors; skips objects that are known to be of no use here."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function that a pickle names."""
        if (module, name) in _REBUILT:
            return super().find_class(module, name)
        if module.split(".")[0] in _SKIPPED_PACKAGES or (module, name) in _SKIPPED_NAMES:
            return Inert
        raise InputError(f"it tries to import {module}.{name}; only weights and plain containers are read")


def load(file: Any, **options: Any) -> Any:
    """Like pickle.load; torch calls it for the parts of its older files."""
    return Unpickler(file, **options).load()
