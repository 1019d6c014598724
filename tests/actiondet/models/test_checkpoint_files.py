"""Files that are no checkpoints, damaged ones, and ones that would run code."""

from __future__ import annotations

import os
import pickle
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from actiondet.models.weights.files import read_content, read_entries
from evaluation.errors import InputError


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"Not found, sorry.", "a text file"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        ("<!-- portal -->\n<HTML lang=fr>Accès refusé</HTML>".encode(), "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        (b"\x89HDF\r\n\x1a\n\0\0", "a file of another kind"),
    ],
)
def test_files_that_are_no_checkpoints_are_told(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"weights.pth: {told}.*, not a checkpoint"):
        read_content(path)
    with pytest.raises(InputError, match="no such file"):
        read_content(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("new_format", [True, False])
def test_a_truncated_checkpoint_is_reported(new_format: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {"a": torch.ones(1000)}}, path, _use_new_zipfile_serialization=new_format)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(InputError, match=r"weights.pth: a damaged or truncated checkpoint"):
        read_content(path)


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch exploded",)


def _write_bomb(path: Path, how: str) -> None:
    if how == "pickle":
        path.write_bytes(pickle.dumps({"blobs": Bomb()}, protocol=2))
    else:
        torch.save({"state_dict": Bomb()}, path, _use_new_zipfile_serialization=how == "torch")


@pytest.mark.parametrize("how", ["torch", "old torch", "pickle"])
def test_a_pickle_bomb_is_refused_by_the_name_of_what_it_imports(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _write_bomb(tmp_path / "bomb.pth", how)
    with pytest.raises(InputError, match=r"bomb\.pth: refused, it tries to import (posix|nt)\.system"):
        read_content(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


# Written as mmengine's log buffer is: its methods stand in a table that goes into the pickle with each buffer.
HISTORY_BUFFER = """
import numpy as np

class HistoryBuffer:
    methods = {}
    ran = []

    def __init__(self):
        self.methods.update(mean=HistoryBuffer.mean, largest=HistoryBuffer.largest)
        self.values, self.counts, self.last = np.arange(3.0), np.ones(3, dtype=np.int64), np.float64(2)

    def mean(self):
        return self.values.mean()

    def largest(self):
        return self.values.max()

    def __getstate__(self):
        return self.__dict__ | {"methods": self.methods}

    def __setstate__(self, state):
        self.ran.append(state)
"""


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("new_format", [True, False])
def test_training_logs_beside_the_weights_are_skipped_and_not_run(
    new_format: bool, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch writes protocol 2, in which a method is `getattr` of Python 2's `__builtin__`."""
    module = ModuleType("mmengine.logging.history_buffer")
    exec(HISTORY_BUFFER, module.__dict__)
    path = tmp_path / "epoch_1.pth"
    content = {
        "meta": {"epoch": 1, "time": "20240101"},
        "state_dict": {"a": torch.ones(2)},
        "message_hub": {"log_scalars": {"train/loss": module.HistoryBuffer()}, "runtime_info": {"eta": np.float64(3)}},
        "param_schedulers": [{"milestones": Counter([10, 15]), "base_values": [0.1]}],
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "kinds": {torch.float16}},
    }
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mmengine", ModuleType("mmengine"))
        patch.setitem(sys.modules, module.__name__, module)
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=new_format)
        assert torch.equal(read_entries(path, read_content(path))[0].tensors["a"], torch.ones(2))
    assert module.HistoryBuffer.ran == []


def test_numpy_weights_beside_training_logs_are_read(tmp_path: Path) -> None:
    content = {"state_dict": {"a": np.arange(4.0).reshape(2, 2)}, "args": Namespace(lr=0.1), "saved": {Path("x")}}
    torch.save(content, tmp_path / "arrays.pth")
    (found,) = read_entries(tmp_path, read_content(tmp_path / "arrays.pth"))
    assert found.tensors["a"].tolist() == [[0, 1], [2, 3]]
