"""What stays as it was loaded, what learns slower, and which examples count more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig, RecognitionConfig, load_config
from actiondet.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from actiondet.engine.class_weights import example_weights
from actiondet.engine.devices import launch
from actiondet.engine.optim import build_groups, build_optimizer, full_rate, set_rates
from actiondet.engine.run import start
from actiondet.engine.train import take_step, train
from actiondet.models.build import build_detector
from actiondet.models.parts import freeze, part_of
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList

Config = Callable[..., DetectionConfig]
Multigrid = Callable[..., RecognitionConfig]
ROOT = Path(__file__).parents[3]
ACTIONS = ActionList((1, 3), ("walk", "fall"), (None, None))


@pytest.fixture
def first(tiny_config: Config, tmp_path: Path) -> Path:
    """A checkpoint to start from."""
    config = tiny_config()
    torch.manual_seed(1)
    path = tmp_path / "first.pt"
    save_checkpoint(Checkpoint(config, build_detector(config.model).state_dict(), ACTIONS), path)
    return path


def test_frozen_stages_keep_weights_and_norms_and_the_rest_learns(
    tiny_config: Config, first: Path, tmp_path: Path
) -> None:
    config = tiny_config("train.freeze=[stem, res2]", f"train.weights={first}", "train.epochs=1")
    train(config, folder=tmp_path / "run", fabric=launch())
    before, after = load_checkpoint(first).weights, load_checkpoint(tmp_path / "run/last.pt").weights
    frozen = {name for name in before if name.startswith(("backbone.stem.", "backbone.res2."))}
    assert any(name.endswith("running_mean") for name in frozen)
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"backbone.res3.0.conv_a.weight", "backbone.res3.0.norm_a.running_mean", "head.fc.weight"} <= changed


def test_precise_norm_leaves_frozen_statistics_alone(multigrid_config: Multigrid, tmp_path: Path) -> None:
    config = multigrid_config("train.epochs=3")
    run = start(config, folder=tmp_path, fabric=launch(), resume=False, overwrite=False)
    freeze(run.task.network, ("stem",))
    kept = {name: value.clone() for name, value in run.task.network.backbone.named_buffers()}
    run.task._measure_norm(run.task.network)  # type: ignore[attr-defined]
    now = dict(run.task.network.backbone.named_buffers())
    assert torch.equal(now["stem.norm.running_mean"], kept["stem.norm.running_mean"])
    assert not torch.equal(now["res2.0.norm_a.running_mean"], kept["res2.0.norm_a.running_mean"])


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("toy/slowfast_r18", ["stem", "res2", "res3", "res4", "res5"]),
        ("toy/vit_narrow", ["stem", "block0", "norm"]),
        ("toy/mvit_narrow", ["stem", "block0", "norm"]),
    ],
)
def test_every_weight_of_a_backbone_is_in_one_stage(name: str, stages: list[str]) -> None:
    network = build_detector(load_config(name).model)
    known = network.backbone.stages()
    assert set(stages) <= set(known)
    weights = [weight for weight, _ in network.named_parameters() if weight.startswith("backbone.")]
    for weight in weights:
        owners = [s for s in known if weight.startswith(part_of(network, s, key="k"))]
        # "block1" is the beginning of "block10" as text alone.
        assert owners, weight
    freeze(network, tuple(known))
    learning = {weight for weight, tensor in network.named_parameters() if tensor.requires_grad}
    assert learning
    assert all(weight.startswith("head.") for weight in learning)


def test_what_cannot_be_frozen_is_refused(tiny_config: Config, first: Path, tmp_path: Path) -> None:
    def begin(*settings: str) -> None:
        start(tiny_config(*settings), folder=tmp_path / "run", fabric=launch(), resume=False, overwrite=False)

    with pytest.raises(
        InputError, match=r"train.freeze: the network has no part 'res6'; expected backbone, head, or stem"
    ):
        begin("train.freeze=[res6]", f"train.weights={first}")
    with pytest.raises(InputError, match=r"train.freeze: \[backbone, head\] is the whole network"):
        begin("train.freeze=[backbone, head]", f"train.weights={first}")
    with pytest.raises(InputError, match=r"train.freeze keeps stem as they are, which is random without train.weights"):
        begin("train.freeze=[stem]")
    with pytest.raises(InputError, match=r"part_rates.stem: this part does not learn"):
        begin("train.freeze=[stem]", f"train.weights={first}", "train.optimizer.part_rates={stem: 0.1}")
    with pytest.raises(InputError, match=r"train.optimizer.part_rates.rest: the network has no part 'rest'"):
        begin("train.optimizer.part_rates={rest: 0.1}")


@pytest.mark.parametrize("layered", ["null", "0.5"])
def test_parts_learn_at_their_own_rates(layered: str) -> None:
    name = "toy/slowonly_r18" if layered == "null" else "toy/vit_narrow"
    stage = "res5" if layered == "null" else "stem"
    config = load_config(
        name,
        [f"train.optimizer.layer_decay={layered}", f"train.optimizer.part_rates={{backbone: 0.1, {stage}: 0.5}}"],
    )
    network = build_detector(config.model)
    plain = config.train.optimizer.model_copy(update={"part_rates": None})
    shares = {
        id(weight): group.get("rate_share", 1.0) for group in build_groups(network, plain) for weight in group["params"]
    }
    optimizer = build_optimizer(config.train.optimizer, build_groups(network, config.train.optimizer), lr=1.0)
    set_rates(optimizer, 0.4)
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    beginnings = part_of(network, stage, key="k")
    for weight_name, weight in network.named_parameters():
        factor = 0.5 if weight_name.startswith(beginnings) else 0.1 if weight_name.startswith("backbone.") else 1.0
        assert rates[id(weight)] == pytest.approx(0.4 * factor * shares[id(weight)])
    assert full_rate(optimizer) == pytest.approx(0.4)


def test_examples_weigh_as_the_setting_says() -> None:
    counts = np.array([90, 0, 10])  # column 1 belongs to no action
    balanced = example_weights("balanced", ACTIONS, counts)
    assert balanced is not None
    assert balanced.tolist() == pytest.approx([50 / 90, 1.0, 5.0])
    named = example_weights({"fall": 4.0}, ACTIONS, counts)
    assert named is not None
    assert named.tolist() == [1.0, 1.0, 4.0]
    by_id = example_weights({"3": 4.0}, ACTIONS, counts)
    assert by_id is not None
    assert by_id.tolist() == named.tolist()
    assert example_weights(None, ACTIONS, counts) is None
    with pytest.raises(
        InputError, match=r"train.loss.class_weight: the network has no action 'fal'; did you mean 'fall'"
    ):
        example_weights({"fal": 4.0}, ACTIONS, counts)


@pytest.mark.parametrize("multi_label", ["true", "false"])
@pytest.mark.parametrize("setting", ["balanced", "{stand: 9}"])
def test_class_weights_reach_the_loss_of_a_detector(
    tiny_config: Config, tmp_path: Path, setting: str, multi_label: str
) -> None:
    def first_loss(folder: str, weight: str) -> float:
        config = tiny_config(f"train.loss.class_weight={weight}", f"model.multi_label={multi_label}", "train.batch=8")
        run = start(config, folder=tmp_path / folder, fabric=launch(), resume=False, overwrite=False)
        return take_step(run, [next(iter(run.task.loader(epoch=0, start=0)))])

    assert first_loss("weighted", setting) != pytest.approx(first_loss("plain", "null"), rel=1e-3)


def test_class_weights_reach_the_loss_of_a_recognizer(multigrid_config: Multigrid, tmp_path: Path) -> None:
    def first_loss(folder: str, weight: str) -> float:
        config = multigrid_config("multigrid=null", "precise_norm=0", f"train.loss.class_weight={weight}")
        run = start(config, folder=tmp_path / folder, fabric=launch(), resume=False, overwrite=False)
        return take_step(run, [next(iter(run.task.loader(epoch=0, start=0)))])

    every = ", ".join(f"{label}: 3" for label in range(9))
    assert first_loss("weighted", f"{{{every}}}") == pytest.approx(3 * first_loss("plain", "null"), rel=1e-5)


def test_rand_augment_reaches_the_clips_of_a_training(tiny_config: Config, tmp_path: Path) -> None:
    def first_clips(folder: str, *more: str) -> torch.Tensor:
        run = start(tiny_config(*more), folder=tmp_path / folder, fabric=launch(), resume=False, overwrite=False)
        return next(iter(run.task.loader(epoch=0, start=0))).batches[0].clips  # type: ignore[no-any-return]

    changed = first_clips("augmented", "transform.rand_augment=[3, 20]")
    assert not torch.equal(changed, first_clips("plain"))
    assert torch.equal(changed, first_clips("again", "transform.rand_augment=[3, 20]"))
