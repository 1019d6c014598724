"""Feature banks are built once, whoever builds them, and are looked into in training and testing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from actiondet.config import DetectionConfig, load_config
from actiondet.data import build_test_set, collate
from actiondet.data.loading import Draw
from actiondet.datasets.feature_bank import FeatureBank
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.detection.bank_building import build_bank, first_of_each
from actiondet.engine.detection.testing import run_test
from actiondet.engine.devices import launch
from actiondet.engine.loading import load_trained, network_for_testing
from actiondet.engine.train import train
from actiondet.models.build import build_detector
from evaluation.errors import InputError
from evaluation.formats.action_list import read_action_list
from tests.programs import die_at_first_part, run_copies

ROOT = Path(__file__).parents[4]
Config = Callable[..., DetectionConfig]
WITH_BANK = ("model.head.dropout_at=vector", "model.head.bank={channels: 64, window: 4, persons: 2, latent: 16}")


@pytest.fixture
def first(tiny_config: Config, tmp_path: Path) -> tuple[DetectionConfig, Path]:
    """A network without a bank, and its weights: as random as the day it was made."""
    config = tiny_config()
    torch.manual_seed(3)
    weights = tmp_path / "first.pt"
    actions = read_action_list(config.data.actions)  # type: ignore[attr-defined]
    save_checkpoint(Checkpoint(config, build_detector(config.model).state_dict(), actions, None), weights)
    return config, weights


def build(first: tuple[DetectionConfig, Path], split: str, out: Path) -> FeatureBank:
    config, weights = first
    fabric = launch()
    detector = network_for_testing(load_trained(weights, config), fabric)
    build_bank(config, detector, weights=weights, split=split, out=out, fabric=fabric)  # type: ignore[arg-type]
    return FeatureBank(out)


def test_a_bank_holds_what_the_network_sees_of_each_found_person(
    first: tuple[DetectionConfig, Path], tmp_path: Path
) -> None:
    bank = build(first, "val", tmp_path / "val.safetensors")
    config, weights = first
    dataset = build_test_set(
        config.data, clip=config.clip, transform=config.transform, num_actions=config.model.num_actions, moments="all"
    )
    assert len(bank) == sum(len(persons) for persons in dataset.persons.values())
    assert bank.channels == 64
    network = load_trained(weights, config).network.eval()
    batch = collate([dataset[Draw(0, 1)]]).batches[0]
    with torch.inference_mode():
        expected = network.vectors(network.normalize(batch.clips), batch.boxes)
    content = load_file(bank.path)
    rows = content["moments"] == dataset.keys[1].moment
    assert content["features"].dtype == np.float16
    np.testing.assert_allclose(content["features"][rows], expected.numpy(), atol=2e-2, rtol=2e-3)
    np.testing.assert_array_equal(content["boxes"][rows], dataset.persons[dataset.keys[1]].boxes)
    assert set((content["times"][rows]).tolist()) == {dataset.center_us(1)}
    assert not list(tmp_path.glob("*.parts"))


def test_a_bank_that_is_there_is_not_replaced(first: tuple[DetectionConfig, Path], tmp_path: Path) -> None:
    build(first, "val", tmp_path / "val.safetensors")
    with pytest.raises(InputError, match="exists already; --overwrite replaces it"):
        build(first, "val", tmp_path / "val.safetensors")
    with pytest.raises(InputError, match=r"bank\.npz: a feature bank is a \.safetensors file"):
        build(first, "val", tmp_path / "bank.npz")


def test_a_killed_building_goes_on_and_ends_with_the_same_file(
    first: tuple[DetectionConfig, Path], tmp_path: Path
) -> None:
    whole = build(first, "train", tmp_path / "whole.safetensors")
    config, weights = first
    from actiondet.config import dump_config

    (tmp_path / "config.yaml").write_text(dump_config(config))
    program = [ROOT / "tools/build_bank.py", tmp_path / "config.yaml", "--weights", weights, "--splits", "train"]
    program += ["--out", tmp_path / "out"]
    assert run_copies(*program, before=die_at_first_part).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "out").glob("*.parts/*.npz"))) == 1
    ended = run_copies(*program, processes=2)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = load_file(whole.path), load_file(tmp_path / "out" / "train.safetensors")
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not list((tmp_path / "out").glob("*.parts"))


def test_of_each_second_the_first_moment_is_kept() -> None:
    times = np.array([0, 40_000, 960_000, 1_000_000, 1_040_000, 3_500_000])
    assert first_of_each(times, 1_000_000).tolist() == [0, 3, 5]
    assert first_of_each(times[:0], 1_000_000).tolist() == []


def test_a_network_trains_and_tests_with_its_bank(
    first: tuple[DetectionConfig, Path], tiny_config: Config, tmp_path: Path
) -> None:
    banks = {split: build(first, split, tmp_path / f"{split}.safetensors").path for split in ("train", "val")}
    config = tiny_config(*WITH_BANK, *(f"data.{split}.bank={path}" for split, path in banks.items()))
    fabric = launch()
    train(config, folder=tmp_path / "run", fabric=fabric)
    detector = network_for_testing(load_trained(tmp_path / "run/best.pt", config), fabric)
    results = []
    for turn in range(2):
        folder = tmp_path / f"test{turn}"
        run_test(config, detector, weights="w", folder=folder, fabric=fabric)
        results.append((folder / "detections.csv").read_text())
    assert results[0] == results[1]
    other = build((first[0], first[1]), "train", tmp_path / "other.safetensors").path
    swapped = load_config_with(config, f"data.val.bank={other}")
    run_test(swapped, detector, weights="w", folder=tmp_path / "swapped", fabric=fabric)
    # The training videos' persons are those of other videos: nothing is remembered, and scores differ.
    assert (tmp_path / "swapped/detections.csv").read_text() != results[0]


def load_config_with(config: DetectionConfig, setting: str) -> DetectionConfig:
    from actiondet.config import dump_config, parse_config

    found = parse_config(dump_config(config), source="test")
    assert isinstance(found, DetectionConfig)
    key, value = setting.split("=")
    _, split, name = key.split(".")
    part = getattr(found.data, split).model_copy(update={name: value})
    return found.model_copy(update={"data": found.data.model_copy(update={split: part})})


def test_a_network_without_its_bank_is_refused(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.train\.bank: the network has a feature bank"):
        train(tiny_config(*WITH_BANK), folder=tmp_path, fabric=launch())
    with pytest.raises(InputError, match="dropout_at 'cells' leaves what is remembered as it is"):
        load_config("toy/slowonly_r18", ["model.head.bank={channels: 64}"])
