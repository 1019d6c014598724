"""Checkpoints come back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from actiondet.config import DetectionConfig, load_config
from actiondet.engine.checkpoint import Checkpoint, Progress, TrainingState, load_checkpoint, save_checkpoint
from actiondet.engine.devices import launch
from actiondet.engine.train import train
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from tests.programs import run_copies

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        config=load_config(ROOT / "configs/toy/slowonly_r18.yaml"),
        weights={"a": torch.arange(3.0), "b": torch.zeros(2, dtype=torch.bfloat16)},
        actions=ActionList(ids=(1, 3), names=("stand", "walk"), types=("PERSON_MOVEMENT", None)),
        score=0.25,
        training=TrainingState(
            progress=Progress(epoch=2, step=5, loss_sum=1.5, loss_steps=5, skipped=1, best=0.5),
            optimizer={"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
            average={"module.a": torch.ones(3)},
            precision={},
            processes=2,
            epoch_steps=9,
        ),
    )


def test_a_checkpoint_comes_back_whole(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "last.pt")
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert loaded.config == checkpoint.config
    assert loaded.actions == checkpoint.actions
    assert loaded.score == 0.25
    assert loaded.weights.keys() == checkpoint.weights.keys()
    assert all(torch.equal(loaded.weights[name], checkpoint.weights[name]) for name in checkpoint.weights)
    assert loaded.training is not None
    assert checkpoint.training is not None
    assert loaded.training.progress == checkpoint.training.progress
    assert torch.equal(loaded.training.optimizer["state"][0]["momentum_buffer"], torch.ones(3))


def test_an_interrupted_write_leaves_the_older_checkpoint(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(checkpoint, path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(checkpoint, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"not this one", "a text file"),
        (b"<html>404</html>", "a web page"),
        (pickle.dumps(os.system), r"refused, it tries to import posix\.system"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"best\.pt: {told}"):
        load_checkpoint(path)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused_by_name(new_format: bool, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    torch.save({"format": os.system}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(InputError, match=r"best\.pt: refused, it tries to import posix\.system"):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_checkpoint(checkpoint, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"best\.pt: a damaged or truncated checkpoint"):
        load_checkpoint(path)


def test_another_toolkits_checkpoint_names_the_converter(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "theirs.pth")
    with pytest.raises(InputError, match=r"tools/convert_checkpoint\.py"):
        load_checkpoint(tmp_path / "theirs.pth")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        load_checkpoint(tmp_path / "none.pt")


SAVE = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from actiondet.engine.checkpoint import load_checkpoint, save_checkpoint
from evaluation.command_line import run_tool
path = Path(sys.argv[1])
run_tool(lambda: save_checkpoint(replace(load_checkpoint(path), weights={"a": torch.zeros(1_000_000)}), path))
"""


def test_a_full_disk_ends_in_a_sentence_and_leaves_the_old_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    save_checkpoint(checkpoint, folder / "last.pt")
    before = (folder / "last.pt").read_bytes()
    (tmp_path / "save.py").write_text(SAVE)
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (100_000, 100_000))
    done = run_copies(tmp_path / "save.py", folder / "last.pt", before=limit)
    assert (done.returncode, done.stderr) == (2, f"save.py: {folder / 'last.pt'}: File too large\n")
    assert (folder / "last.pt").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["last.pt"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB, where the user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_training_goes_on_when_its_full_disk_has_room_again(
    tiny_config: Callable[..., DetectionConfig], small_disk: Path
) -> None:
    config = tiny_config("train.epochs=1", "train.save_minutes=1e-6")
    with pytest.raises(OSError, match="No space left on device"):
        train(config, folder=small_disk / "run", fabric=launch())
    assert not [path for path in small_disk.rglob("*") if path.name.startswith(".last")]
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    train(config, folder=small_disk / "run", fabric=launch(), resume=True)
    assert load_checkpoint(small_disk / "run/last.pt").training is not None
