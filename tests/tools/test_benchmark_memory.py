from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_tools.toy.recall import FAMILIES, LASTING, LATEST, SOONEST, Pose, plan_recall
from data_tools.toy.scenes import Scene
from evaluation.errors import InputError


def test_each_arm_is_reported_at_its_own_best_rate_after_one_network_that_knows_no_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = import_module("actiondet.cli.benchmarks.memory")
    banks: list[str] = []
    seen: dict[str, int] = {}
    scores = {"first": {0.004: 0.1}, "without": {0.001: 0.5, 0.002: 0.4}, "max": {0.001: 0.6, 0.002: 0.9}}

    def train(config: object, *, folder: Path, **_: object) -> float:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "last.pt").touch()
        arm = folder.name.split("_")[0]
        seen[arm] = config.model.num_actions  # type: ignore[attr-defined]
        rate = config.train.base_lr  # type: ignore[attr-defined]
        return scores[arm][rate] + 0.01 * config.train.seed  # type: ignore[attr-defined]

    def test(_: object, name: str, config: object) -> dict[int, float]:
        score = train(config, folder=tmp_path / name)
        return {1: 0.0, 15: score - 0.01, 16: score + 0.01}

    def build_banks(runs: Any, paths: dict[str, Path]) -> None:
        if paths:
            banks.append(runs.first.name)

    monkeypatch.setattr("actiondet.engine.train.train", train)
    monkeypatch.setattr("actiondet.cli.benchmarks.arms.ToyRuns._make_films", lambda _: None)
    monkeypatch.setattr("actiondet.cli.benchmarks.arms.ToyRuns.test", test)
    monkeypatch.setattr(memory, "build_banks", build_banks)
    memory.run(Namespace(out=tmp_path, operator="max", rates=[0.001, 0.002], seeds=[1, 2], first_epochs=4, epochs=3))
    said = capsys.readouterr().out
    assert "without: tuned 0.001: 0.5000, 0.002: 0.4000; rate 0.001" in said
    assert "max: tuned 0.001: 0.6000, 0.002: 0.9000; rate 0.002" in said
    assert "without_rate0.002_seed0_epochs3_after_first_epochs4: 0.2667, the worst action 0.0000" in said
    assert "the bank adds 40.0 points (wanted: at least 15): as wanted" in said
    assert set(banks) == {"first_epochs4"}
    assert seen == {"first": 4, "without": 16, "max": 16}
    with pytest.raises(InputError, match="--seeds 0: is the seed of the tuning"):
        memory.run(Namespace(out=tmp_path, operator="max", rates=[0.001], seeds=[0], epochs=3))


def test_what_is_answered_was_asked_5_to_20_seconds_before_and_else_not() -> None:
    responses = dict.fromkeys(("answered", "not"), 0)
    for seed in range(30):
        scene = plan_recall(np.random.default_rng(seed), 62, 96 / 72)
        for cue, response, name in FAMILIES:

            def slots(pose: Pose, scene: Scene = scene) -> set[int]:
                return {
                    slot
                    for actor in scene.actors
                    for slot, stretch in enumerate(actor.stretches)
                    if (stretch.activity, stretch.arms) == pose
                }

            cues = slots(cue)
            for slot in sorted(slots(response)):
                answered = name in scene.relations[slot].values()
                responses["answered" if answered else "not"] += 1
                ago = [slot - each for each in cues if 0 <= slot - each <= LATEST + LASTING]
                assert (bool(ago), not ago or min(ago) >= SOONEST) == (answered, True)
    assert min(responses.values()) > 0.3 * sum(responses.values())
