from __future__ import annotations

from actiondet.config import differing_settings, setting_table
from actiondet.config.schema import AdamWConfig, ScheduleConfig, SGDConfig, TrainConfig


def test_differing_settings_are_named_with_both_values() -> None:
    before = TrainConfig(epochs=3, schedule=ScheduleConfig(policy="step", steps=(1, 2)))
    now = TrainConfig(epochs=4, schedule=ScheduleConfig(policy="step", steps=(1,)), workers=7)
    assert differing_settings(before, now, ignored=("workers",)) == [
        "epochs: 3 -> 4",
        "schedule.steps: (1.0, 2.0) -> (1.0,)",
    ]
    assert differing_settings(before, before) == []


def test_another_member_of_a_family_differs_in_its_name_and_its_own_settings() -> None:
    differing = differing_settings(TrainConfig(optimizer=SGDConfig()), TrainConfig(optimizer=AdamWConfig()))
    assert differing == [
        "optimizer.betas: None -> (0.9, 0.999)",
        "optimizer.momentum: 0.9 -> None",
        "optimizer.name: sgd -> adamw",
        "optimizer.nesterov: False -> None",
    ]


def test_settings_of_many_configurations_become_rows_where_they_differ() -> None:
    configs = [TrainConfig(), TrainConfig(epochs=4), TrainConfig(optimizer=AdamWConfig())]
    assert setting_table(configs) == (
        ("epochs", (20, 4, 20)),
        ("optimizer.betas", (None, None, (0.9, 0.999))),
        ("optimizer.momentum", (0.9, 0.9, None)),
        ("optimizer.name", ("sgd", "sgd", "adamw")),
        ("optimizer.nesterov", (False, False, None)),
    )
    assert setting_table(configs[:1] * 2) == ()
