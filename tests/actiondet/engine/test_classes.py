"""A choice of actions from weights to scores: heads are cut bit for bit, and nothing is trained or scored besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig
from actiondet.config.data_sets import AvaConfig
from actiondet.datasets.ava import AvaSplit, read_ava_split
from actiondet.datasets.splits import SplitName
from actiondet.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from actiondet.engine.detection.testing import run_test
from actiondet.engine.devices import launch
from actiondet.engine.loading import load_trained
from actiondet.engine.run import start
from actiondet.engine.train import take_step, train
from actiondet.models.build import build_detector
from evaluation import frame_map
from evaluation.errors import InputError
from evaluation.formats.action_list import read_action_list
from evaluation.formats.ava import read_ava_csv, read_ava_results

Config = Callable[..., DetectionConfig]
THREE = ["data.classes=[wave, 3, crouch and rise]", "model.num_actions=3"]


@pytest.fixture
def whole(tiny_config: Config, tmp_path: Path) -> Path:
    """A checkpoint of all actions of the toy set."""
    config = tiny_config()
    torch.manual_seed(3)
    network = build_detector(config.model)
    path = tmp_path / "whole.pt"
    save_checkpoint(Checkpoint(config, network.state_dict(), read_action_list(config.data.actions)), path)  # type: ignore[attr-defined]
    return path


def logits(network: torch.nn.Module) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    clips = torch.randn(2, 3, 4, 64, 72, generator=random)
    boxes = [torch.tensor([[3.0, 4.0, 40.0, 60.0]]), torch.tensor([[8.0, 2.0, 50.0, 50.0], [0.0, 0.0, 9.0, 60.0]])]
    with torch.no_grad():
        return network.eval()(clips, boxes)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "head", ["model.head.classifier=linear", "model.head.classifier=mlp", "model.head={name: acar}"]
)
def test_training_on_3_actions_starts_at_the_scores_of_the_checkpoint_bit_for_bit(
    tiny_config: Config, tmp_path: Path, head: str
) -> None:
    config = tiny_config(head)
    torch.manual_seed(3)
    network = build_detector(config.model)
    listed = read_action_list(config.data.actions)  # type: ignore[attr-defined]
    save_checkpoint(Checkpoint(config, network.state_dict(), listed), tmp_path / "whole.pt")
    three = tiny_config(*THREE, f"train.weights={tmp_path / 'whole.pt'}", head)
    run = start(three, folder=tmp_path / "run", fabric=launch(), resume=False, overwrite=False)
    assert len(run.task.actions) == 3
    columns = [listed.ids.index(label) for label in run.task.actions.ids]
    expected = logits(network)[:, listed.columns[columns].tolist()]
    assert torch.equal(logits(run.task.network), expected)
    assert expected.std() > 0


def test_a_merged_action_begins_with_the_mean_of_its_members(tiny_config: Config, whole: Path) -> None:
    merged = tiny_config("data.classes=[move, wave]", "data.merge_classes={move: [3, 4]}", "model.num_actions=2")
    trained = load_trained(whole, merged)
    assert trained.actions.names == ("move", "wave")
    old, new = load_checkpoint(whole).weights["head.fc.weight"], trained.network.state_dict()["head.fc.weight"]
    torch.testing.assert_close(new[0], (old[2] + old[3]) / 2)


def test_published_heads_are_cut_to_the_chosen_columns(tiny_config: Config, tmp_path: Path, whole: Path) -> None:
    # A file without actions of its own, whose columns follow the ids of the data set.
    torch.save(dict(load_checkpoint(whole).weights), tmp_path / "published.pth")
    trained = load_trained(tmp_path / "published.pth", tiny_config(*THREE))
    ids = [label - 1 for label in trained.actions.ids]
    old, new = load_checkpoint(whole).weights["head.fc.weight"], trained.network.state_dict()["head.fc.weight"]
    assert torch.equal(new, old[ids])
    assert "3 of 14 actions" in str(trained.report)


def test_a_subset_trains_is_tested_and_scored_with_the_ids_of_the_file(tiny_config: Config, tmp_path: Path) -> None:
    config = tiny_config(*THREE, "train.epochs=1")
    fabric = launch()
    train(config, folder=tmp_path / "run", fabric=fabric)
    trained = load_trained(tmp_path / "run/last.pt", DetectionConfig)
    assert trained.actions.columns.tolist() == [0, 1, 2]
    assert trained.actions.names == ("walk left", "crouch and rise", "wave")
    result = run_test(config, trained.network, weights="last.pt", folder=tmp_path, fabric=fabric)
    rows = read_ava_results(tmp_path / "detections.csv")
    assert set(rows.labels.tolist()) == set(trained.actions.ids)
    # Other programs score the files alike, and single actions alike against the truth of all.
    actions = read_action_list(tmp_path / "action_list.pbtxt")
    again = frame_map(read_ava_csv(tmp_path / "truth.csv"), rows, actions=actions)
    np.testing.assert_array_equal(again.ap, result.ap)
    against_all = frame_map(read_ava_csv(config.data.val.truth), rows, actions=actions)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(against_all.ap, result.ap)


def test_who_does_none_of_the_chosen_actions_trains_as_an_example_of_none(tiny_config: Config, tmp_path: Path) -> None:
    def bias_after(folder: str, *more: str) -> float:
        run = start(
            tiny_config(*THREE, "train.batch=8", *more),
            folder=tmp_path / folder,
            fabric=launch(),
            resume=False,
            overwrite=False,
        )
        loaded = next(iter(run.task.loader(epoch=0, start=0)))
        labels = torch.cat(list(loaded.batches[0].labels))
        assert (labels.sum(dim=1) == 0).any()
        counted = len(labels) * 3 if run.config.model.multi_label else int((labels.sum(dim=1) > 0).sum())
        assert run.task.count_terms(loaded) == counted
        return take_step(run, [loaded])

    assert bias_after("many") > 0
    assert bias_after("one", "model.multi_label=false") > 0  # a softmax has no target for them


def test_the_number_of_columns_is_that_of_the_choice(tiny_config: Config, tmp_path: Path) -> None:
    config = tiny_config("data.classes=[wave, crouch and rise]")
    with pytest.raises(
        InputError, match=r"model.num_actions is 14, but .* leave 2 actions .*; set model.num_actions=2"
    ):
        start(config, folder=tmp_path, fabric=launch(), resume=False, overwrite=False)


def test_a_choice_that_a_data_set_of_ones_own_does_not_make_is_refused(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes_all(data: AvaConfig, split: SplitName, *, num_actions: int) -> AvaSplit:
        whole = read_ava_split(data.model_copy(update={"classes": None}), split, num_actions=14)
        assert num_actions == 3
        return replace(whole, data=data)

    monkeypatch.setattr("actiondet.data.build.read_split", takes_all)
    with pytest.raises(InputError, match=r"data.classes: what reads the data set 'ava' takes all actions"):
        start(tiny_config(*THREE), folder=tmp_path, fabric=launch(), resume=False, overwrite=False)
