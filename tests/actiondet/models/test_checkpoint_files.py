"""Files that are no checkpoints, damaged ones, and ones that would run code."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from actiondet.models.weights.files import read_checkpoint
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
        read_checkpoint(path)
    with pytest.raises(InputError, match="no such file"):
        read_checkpoint(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("new_format", [True, False])
def test_a_truncated_checkpoint_is_told(new_format: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {"a": torch.ones(1000)}}, path, _use_new_zipfile_serialization=new_format)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(InputError, match=r"weights.pth: a damaged or truncated checkpoint"):
        read_checkpoint(path)


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
        read_checkpoint(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("new_format", [True, False])
def test_training_logs_beside_the_weights_are_skipped_and_not_run(
    new_format: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    class HistoryBuffer(list):  # type: ignore[type-arg]
        def __setstate__(self, state: object) -> None:
            ran.append(state)

    module = ModuleType("mmengine.logging.history_buffer")
    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    path = tmp_path / "raw.pth"
    log = HistoryBuffer([1, 2])
    log.numbers, log.step = np.arange(3.0), np.int64(7)  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "mmengine", ModuleType("mmengine"))
        patch.setitem(sys.modules, module.__name__, module)
        content = {"message_hub": {"log": log}, "state_dict": {"a": torch.ones(2)}}
        torch.save(content, path, _use_new_zipfile_serialization=new_format)
    assert torch.equal(read_checkpoint(path).tensors["a"], torch.ones(2))
    assert ran == []
