from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from actiondet.config import DetectionConfig
from data_tools.toy.relations import FAR, NEAR, plan_relations


def test_all_arms_begin_with_one_backbone_and_are_reported_at_their_own_best_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    relations = import_module("actiondet.cli.benchmarks.relations")
    scores = {"roi": {0.001: 0.5, 0.002: 0.4}, "acrn": {0.001: 0.3, 0.002: 0.6}, "acar": {0.001: 0.7, 0.002: 0.1}}
    trained: list[tuple[str, str | None]] = []

    def train(_: object, name: str, config: DetectionConfig, **__: object) -> None:
        trained.append((name, config.train.weights))

    def test(_: object, __: str, config: DetectionConfig) -> dict[int, float]:
        score = scores[config.model.head.name].get(config.train.base_lr, 0.9)
        return {12: score - 0.1, 14: score, 17: score + 0.1 + 0.03 * config.train.seed}

    monkeypatch.setattr("actiondet.cli.benchmarks.arms.ToyRuns.train", train)
    monkeypatch.setattr("actiondet.cli.benchmarks.arms.ToyRuns.test", test)
    relations.run(
        Namespace(
            out=tmp_path, arms=["plain", "acrn", "acar"], rates=[0.001, 0.002], seeds=[1], first_epochs=2, epochs=3
        )
    )
    said = capsys.readouterr().out
    assert "plain: tuned 0.001: 0.5000, 0.002: 0.4000; rate 0.001" in said
    assert "acrn: rate 0.002; reported 0.6100" in said
    assert "acar: rate 0.001; reported 0.7100" in said
    assert "+20.00" in said
    weights = dict(trained)
    assert weights.pop("first_epochs2") is None
    assert set(weights.values()) == {str(tmp_path / "first_epochs2/last.pt")}


def test_what_one_of_a_pair_does_follows_from_where_the_other_stands_and_goes() -> None:
    expected = {
        (1, 0): {0: "approach"}, (0, -1): {1: "approach"},
        (1, 1): {0: "follow"}, (-1, -1): {1: "follow"},
        (1, -1): {0: "meet", 1: "meet"},
    }  # fmt: skip
    seen = set()
    for seed in range(10):
        scene = plan_relations(np.random.default_rng(seed), 27, 128 / 60)
        left, right = scene.actors
        for slot, related in enumerate(scene.relations):
            directions = left.stretches[slot].direction, right.stretches[slot].direction
            assert related == expected.get(directions, {})
            assert right.positions[slot] - left.positions[slot] > NEAR * left.height
            assert right.positions[slot] - left.positions[slot] < FAR * left.height
            seen.add(directions)
    assert seen >= set(expected)
