"""Learning rates by tables; the curves of tests/golden/engine/lr_schedules.json were computed by mmengine 0.10.7."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from actiondet.config.schema import ScheduleConfig
from actiondet.engine.schedule import count_falls, scaled_learning_rate, schedule_factor

CURVES = json.loads((Path(__file__).parents[2] / "golden/engine/lr_schedules.json").read_text())


def step(*steps: float, warmup: float, **more: object) -> ScheduleConfig:
    return ScheduleConfig(policy="step", steps=steps, warmup_epochs=warmup, **more)


def cosine(*, warmup: float, **more: object) -> ScheduleConfig:
    return ScheduleConfig(policy="cosine", warmup_epochs=warmup, **more)


def schedule_of(name: str) -> ScheduleConfig:
    """The published configuration `name` in our words."""
    if "slowfast" in name and "recognition" in name:
        if "steplr" in name:
            return step(94, 154, 196, warmup=34, update_every="epoch")
        return cosine(warmup=34, cosine_from="start", update_every="epoch")
    if "recognition" in name:
        if "steplr" in name:
            return step(100, 140, warmup=10, warmup_by="epoch")
        return cosine(warmup=34, warmup_by="epoch", update_every="epoch")
    if "multisports" in name:
        return step(6, 7, warmup=5, warmup_by="epoch")
    if "10e" in name:
        return cosine(warmup=2)
    return step(10, 15, warmup=5, warmup_by="epoch")


@pytest.mark.parametrize("name", sorted(CURVES))
def test_curves_equal_those_of_mmengine(name: str) -> None:
    golden = CURVES[name]
    schedule = schedule_of(name)

    def rate(epoch: int, step: int) -> float:
        factor = schedule_factor(
            schedule, epoch=epoch, step=step, steps_per_epoch=golden["epoch_length"], epochs=golden["epochs"]
        )
        return golden["base_lr"] * factor

    starts = [rate(epoch, 0) for epoch in range(golden["epochs"])]
    assert starts == pytest.approx(golden["lr_at_epoch_start"], rel=1e-6, abs=1e-9)
    first = [
        rate(i // golden["epoch_length"], i % golden["epoch_length"]) for i in range(len(golden["first_3_epochs"]))
    ]
    assert first == pytest.approx(golden["first_3_epochs"], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("batch", "processes", "accumulate", "expected"),
    [(8, 8, 1, 0.1), (8, 1, 1, 0.0125), (4, 2, 4, 0.05), (16, 8, 1, 0.2)],
)
def test_the_rate_follows_the_total_batch(batch: int, processes: int, accumulate: int, expected: float) -> None:
    rate = scaled_learning_rate(0.1, batch=batch, processes=processes, accumulate=accumulate, base_batch=64)
    assert rate == pytest.approx(expected)


def test_a_run_without_warm_up_starts_at_the_full_rate() -> None:
    schedule = ScheduleConfig(policy="constant")
    assert schedule_factor(schedule, epoch=0, step=0, steps_per_epoch=5, epochs=2) == 1.0


def test_a_cosine_ends_at_its_final_share() -> None:
    schedule = cosine(warmup=0, final=0.1)
    assert schedule_factor(schedule, epoch=10, step=0, steps_per_epoch=5, epochs=10) == pytest.approx(0.1)


def test_factors_replace_powers_of_gamma_and_may_restart() -> None:
    schedule = ScheduleConfig(policy="step", steps=(4, 8), factors=(0.1, 1.0))
    found = [schedule_factor(schedule, epoch=epoch, step=0, steps_per_epoch=10, epochs=12) for epoch in range(12)]
    assert found == pytest.approx([1.0] * 4 + [0.1] * 4 + [1.0] * 4)
    with pytest.raises(ValueError, match="1 factors for 2 steps"):
        ScheduleConfig(policy="step", steps=(4, 8), factors=(0.1,))


@pytest.mark.parametrize(
    ("policy", "stale", "falls", "expected"),
    [
        ("plateau", 2, 0, (2, 0)),
        ("plateau", 3, 1, (0, 2)),  # the third validation after the best one is one more than the patience
        ("constant", 9, 0, (9, 0)),
    ],
)
def test_a_plateau_lowers_the_rate_after_its_patience(
    policy: Literal["plateau", "constant"], stale: int, falls: int, expected: tuple[int, int]
) -> None:
    assert count_falls(ScheduleConfig(policy=policy, patience=2), stale=stale, falls=falls) == expected
