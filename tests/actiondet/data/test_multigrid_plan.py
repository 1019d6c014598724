import json
from pathlib import Path
from typing import Any

import pytest

from actiondet.data.loading import TrainSampler
from actiondet.data.multigrid_plan import (
    LONG_FACTORS,
    SHORT_FACTORS,
    NormPlan,
    PlainRecipe,
    Plan,
    batches,
    count_batches,
    norm_plan,
    plan,
    short_cycle,
    short_sides,
)
from actiondet.data.multigrid_sampler import MultigridSampler

GOLDEN = Path(__file__).parents[2] / "golden/multigrid"
LONG = ("k400_slowfast_8x8", "ssv2_slowfast_16x8", "charades_slowfast_16x8", "toy")


def golden(name: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return table


def recipe(base: dict[str, Any]) -> PlainRecipe:
    assert base["long_cycle_factors"] == [list(pair) for pair in LONG_FACTORS]
    assert base["short_cycle_factors"] == list(SHORT_FACTORS)
    return PlainRecipe(
        batch=base["batch_size"],
        frames=base["num_frames"],
        stride=base["sampling_rate"],
        crop=base["crop"],
        short_side=tuple(base["jitter"]),
        steps=tuple(base["steps"]),
        epochs=base["max_epoch"],
        gamma=base["gamma"],
    )


def planned(table: dict[str, Any]) -> Plan:
    base = table["base"]
    return plan(
        recipe(base),
        long_cycle=base["long_cycle"],
        short_cycle=base["short_cycle"],
        epoch_factor=base["epoch_factor"],
    )


@pytest.mark.parametrize("name", LONG)
def test_the_long_cycle_is_that_of_pyslowfast(name: str) -> None:
    table = golden(name)
    rows = [
        {
            "step_index": stage.step,
            "batch_factor": stage.batch_factor,
            "num_frames": stage.frames,
            "crop": stage.crop,
            "end_epoch": stage.end,
        }
        for stage in planned(table).stages
    ]
    assert rows == table["long_cycle_schedule"]


@pytest.mark.parametrize("name", [*LONG, "k400_slowfast_8x8_short_only"])
def test_learning_rates_are_those_of_pyslowfast_in_every_epoch(name: str) -> None:
    table = golden(name)
    made, base = planned(table), table["base"]
    assert made.lr_edges == tuple(table["solver"]["steps"])
    assert made.lr_factors == pytest.approx(table["solver"]["lrs"][: len(made.lr_factors)], rel=1e-14)
    assert made.epochs == table["solver"]["max_epoch"] == len(table["epochs"])
    warm = {"warmup_epochs": base["warmup_epochs"], "warmup_start": base["warmup_start_lr"] / base["base_lr"]}
    for row in table["epochs"]:
        for key, moment in (("lr_start", row["epoch"]), ("lr_mid", row["epoch"] + 0.5)):
            assert base["base_lr"] * made.lr_factor(moment, **warm) == pytest.approx(row[key], rel=1e-12)


@pytest.mark.parametrize("name", [*LONG, "k400_slowfast_8x8_short_only"])
def test_batches_and_norms_of_every_stage_are_those_of_pyslowfast(name: str) -> None:
    table = golden(name)
    made, processes = planned(table), table["base"]["num_gpus"]
    for row in table["stages"]:
        stage = made.stage_at(row["first_epoch"])
        batch = made.plain.batch * stage.batch_factor // processes
        assert (batch, stage.frames, stage.crop) == (row["batch_per_gpu"], row["num_frames"], row["crop"])
        assert list(stage.strides) == row["sampling_rate_range"]
        turns = short_cycle(made.plain, stage, batch=batch)
        expected = [(turn["batch_per_gpu"], turn["crop"], tuple(turn["jitter"])) for turn in row["short_cycle"]]
        assert [(turn.batch, turn.crop, turn.short_side) for turn in turns] == expected
        norm = norm_plan(batch, base=table["base"]["bn_base_size"])
        kinds = {"sub_batchnorm": "split", "sync_batchnorm": "sync", "batchnorm": "plain"}
        assert norm.kind == kinds[row["bn_norm_type"]]
        assert norm.splits == (row["bn_num_splits"] if norm.kind == "split" else 1)
        assert norm.devices == (row["bn_num_sync_devices"] if norm.kind == "sync" else 1)


@pytest.mark.parametrize("name", LONG)
def test_weights_are_evaluated_when_pyslowfast_does(name: str) -> None:
    table = golden(name)
    made = planned(table)
    found = [made.validates_after(row["epoch"], times=table["base"]["eval_freq"]) for row in table["epochs"]]
    assert found == [row["checkpoint"] for row in table["epochs"]]


@pytest.mark.parametrize(
    ("table", "base"),
    [
        ("paddle_k400_slowfast_8x8", "k400_slowfast_8x8"),
        ("paddle_k400_long_only", "k400_slowfast_8x8_long_only"),
        ("paddle_k400_short_only", "k400_slowfast_8x8_short_only"),
    ],
)
def test_both_cycles_and_either_alone_are_those_of_paddlevideo(table: str, base: str) -> None:
    expected, made = golden(table), planned(golden(base))
    assert made.epochs == expected["total_epochs"]
    assert list(made.lr_edges) == expected["lr"]["steps"]
    assert made.lr_factors == pytest.approx(expected["lr"]["lrs"][: len(made.lr_factors)])
    rows = [[stage.step, stage.batch_factor, stage.frames, stage.crop, stage.end] for stage in made.stages]
    if expected["long_cycle_schedule"]:
        assert rows == [list(row.values()) for row in expected["long_cycle_schedule"]]
    for row in expected["stages"]:
        stage = made.stage_at(row["first_epoch"])
        batch = 8 * stage.batch_factor
        assert (batch, stage.frames, stage.crop) == (row["batch_single_card"], row["num_frames"], row["crop"])
        norm = norm_plan(batch)
        assert (norm.kind == "split") == (row["bn"] == "sub_batchnorm")
        assert norm.splits == (row["splits"] if norm.kind == "split" else 1)
        # Of a long cycle alone PaddleVideo tells the third batch as the only one.
        turns = short_cycle(made.plain, stage, batch=batch)[-len(row["short_cycle"]) :]
        found = [(turn.batch, turn.crop) for turn in turns]
        assert found == [(turn["batch_single_card"], turn["crop"]) for turn in row["short_cycle"]]


def test_defects_of_the_toolkits_are_put_right() -> None:
    # PySlowFast fails without a short cycle.
    assert golden("k400_slowfast_8x8_long_only")["error"].startswith("IndexError")
    long_only = planned(golden("k400_slowfast_8x8_long_only"))
    assert (long_only.epochs, len(long_only.stages)) == (358, 13)
    # Without a long cycle PaddleVideo multiplies the epochs by themselves.
    assert golden("paddle_k400_short_only")["lr"]["max_epoch"] == 57121
    assert planned(golden("k400_slowfast_8x8_short_only")).epochs == 358
    # PaddleVideo takes clips of 158 pixels out of frames of 256 and more; the range follows the crop.
    stage = golden("paddle_k400_slowfast_8x8")["stages"][0]
    assert (stage["crop"], stage["short_cycle"][2]["jitter"]) == (158, [256, 320])
    assert short_sides(long_only.plain, 158) == (181, 320)


def test_a_stage_without_epochs_is_never_entered() -> None:
    made = planned(golden("ssv2_slowfast_16x8"))
    empty = [stage for stage in made.stages if stage.first == stage.end]
    assert [(stage.first, stage.frames, stage.crop) for stage in empty] == [(30, 64, 224)]
    assert made.stage_at(30).step == 2
    assert {made.stage_at(epoch) for epoch in range(made.epochs)} == {*made.stages} - {*empty}


@pytest.mark.parametrize("both", [True, False])
def test_processes_see_equally_many_batches_of_different_videos(both: bool) -> None:
    plain = PlainRecipe(batch=2, frames=8, stride=4, crop=32, short_side=(36, 40), steps=(0, 4), epochs=6)
    sharing = plan(plain, long_cycle=True, short_cycle=both)
    for epoch in range(sharing.epochs):
        seen = []
        for rank in (0, 1):
            videos_of_rank = TrainSampler(97, seed=0, rank=rank, world_size=2)
            sampler = MultigridSampler(videos_of_rank, plan=sharing, short_cycle=both, batch=1)
            sampler.set_position(epoch=epoch)
            batches_of_rank = list(sampler)
            assert len(batches_of_rank) == len(sampler) == sampler.batches_in(epoch) > 0
            seen.append(batches_of_rank)
        shapes = [[(len(batch), batch[0].shape) for batch in each] for each in seen]
        assert shapes[0] == shapes[1]
        videos = [{draw.index for batch in each for draw in batch} for each in seen]
        assert len(videos[0] & videos[1]) <= 1  # 97 is odd: one video fills up
        assert all(len(each) == sum(map(len, batches)) for each, batches in zip(videos, seen, strict=True))


def test_batches_take_turns_and_a_rest_is_dropped() -> None:
    made = planned(golden("toy"))
    turns = short_cycle(made.plain, made.stages[2], batch=2)
    assert [turn.batch for turn in turns] == [8, 4, 2]
    cut = list(batches(range(31), turns))
    assert [(number, len(indices)) for number, indices in cut] == [(0, 8), (1, 4), (2, 2), (0, 8), (1, 4), (2, 2)]
    assert [index for _, indices in cut for index in indices] == list(range(28))
    for length in range(60):
        assert count_batches(length, turns) == len(list(batches(range(length), turns)))


@pytest.mark.parametrize(
    ("batch", "expected"),
    [(64, NormPlan("split", splits=8)), (8, NormPlan("plain")), (2, NormPlan("sync", devices=4))],
)
def test_batch_norm_sees_about_eight_clips(batch: int, expected: NormPlan) -> None:
    assert norm_plan(batch) == expected


@pytest.mark.parametrize("steps", [(1, 4), (0,), (0, 4, 4), (0, 12)])
def test_steps_that_make_no_cycle_are_refused(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="all rising"):
        PlainRecipe(batch=8, frames=8, stride=2, crop=64, short_side=(72, 80), steps=steps, epochs=12)
