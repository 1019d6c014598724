from pathlib import Path

import pytest
import torch

from actiondet.config import DetectionConfig, load_config
from actiondet.engine import loading
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.loading import load_trained
from actiondet.models.build import build_detector
from actiondet.models.weights.report import Report
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, write_action_list

ACTIONS = ActionList((1, 3), ("walk", "wave"), (None, None))
CONFIG = """
task: detection
model: {{backbone: {{name: slowonly, depth: 18, width: 8}}, num_actions: 3}}
data:
  name: ava
  videos: videos
  actions: {actions}
  train: {{truth: train.csv}}
  val: {{truth: val.csv}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "net.yaml"
    file.write_text(CONFIG.format(actions=tmp_path / "actions.pbtxt"))
    return file


def test_random_weights_are_the_same_each_time_and_say_what_they_are(config: Path) -> None:
    first, again = (load_trained(None, load_config(config)) for _ in range(2))
    assert all(
        torch.equal(one, other)
        for one, other in zip(first.network.parameters(), again.network.parameters(), strict=True)
    )
    assert first.report is None
    assert first.means_nothing
    assert str(first) == "random weights: the labels mean nothing"


def test_actions_have_the_names_of_the_list_or_numbers(config: Path, tmp_path: Path) -> None:
    assert load_trained(None, load_config(config)).actions.names == ("action 1", "action 2", "action 3")
    write_action_list(tmp_path / "actions.pbtxt", ACTIONS)
    assert load_trained(None, load_config(config)).actions == ACTIONS


def test_a_checkpoint_brings_its_own_configuration_and_names(config: Path, tmp_path: Path) -> None:
    settings = load_config(config)
    network = build_detector(settings.model)
    save_checkpoint(Checkpoint(settings, network.state_dict(), ACTIONS), tmp_path / "best.pt")
    for given in (None, DetectionConfig, settings):
        loaded = load_trained(tmp_path / "best.pt", given)
        assert loaded.actions == ACTIONS
        assert loaded.config == settings
        assert loaded.report is not None
        assert loaded.report.path == tmp_path / "best.pt"
        assert not loaded.means_nothing
        assert "2 actions (walk, wave)" in str(loaded)
        assert torch.equal(next(iter(loaded.network.parameters())), next(iter(network.parameters())))


def test_labels_of_a_head_that_was_not_loaded_mean_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(Path("rec.pth"), "mmaction2", left_alone={"head.classifier.weight": "a recognizer's file"})
    monkeypatch.setattr(loading, "load_weights", lambda *arguments, **how: report)
    monkeypatch.setattr(loading, "read_content", lambda path: {})
    loaded = load_trained("rec.pth", load_config(config), require_head=False)
    assert loaded.means_nothing
    assert "mean nothing" in str(loaded)
    assert "head.classifier.weight" in str(loaded.report)
    with pytest.raises(InputError, match=r"rec\.pth: holds no classifier for this network"):
        load_trained("rec.pth", load_config(config))
