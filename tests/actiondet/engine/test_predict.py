"""From logits to rows of a result file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.config.networks import (
    BackboneConfig,
    DetectorConfig,
    MViTConfig,
    RoIHeadConfig,
    SlowOnlyConfig,
    VitConfig,
)
from actiondet.data import collate
from actiondet.engine.detection.testing import write_dense_scores
from actiondet.engine.predict import Activation, Scoring, activate, apply_control, finite_scores
from actiondet.models.build import build_detector
from actiondet.records import ClipSample
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, read_ava_results, write_ava_results
from evaluation.records import ActionDetections, DetectionRows, FrameKey, PersonBoxes

ACTIONS = ActionList(ids=(1, 3), names=("stand", "walk"), types=(None, None))


def detections(seed: int = 0) -> list[ActionDetections]:
    random = np.random.default_rng(seed)
    counts = {FrameKey("a", 902_000_000): 2, FrameKey("a", 903_000_000): 0, FrameKey("b", 902_000_000): 1}
    found = []
    for key, persons in counts.items():
        corner = random.uniform(0, 0.5, (persons, 2))
        boxes = np.concatenate([corner, corner + 0.3], axis=1).astype(np.float32)
        scores = random.uniform(size=(persons, 3)).astype(np.float32)
        found.append(ActionDetections(key, boxes, np.ones(persons, dtype=np.float32), scores))
    return found


def test_a_row_for_every_person_and_listed_action() -> None:
    found = detections()
    rows = DetectionRows.from_detections(found, actions=ACTIONS)
    assert len(rows) == 3 * 2
    assert list(rows.video) == ["a"] * 4 + ["b"] * 2
    assert rows.labels.tolist() == [1, 3] * 3
    # Column c holds label c + 1.
    assert rows.scores.tolist() == pytest.approx(
        [found[0].action_scores[0, 0], found[0].action_scores[0, 2]]
        + [found[0].action_scores[1, 0], found[0].action_scores[1, 2]]
        + [found[2].action_scores[0, 0], found[2].action_scores[0, 2]]
    )
    np.testing.assert_array_equal(rows.boxes[2], found[0].boxes[1].astype(np.float64))
    assert rows.moment.tolist() == [902_000_000] * 6


def test_rows_survive_the_result_file_to_the_last_bit(tmp_path: Path) -> None:
    rows = DetectionRows.from_detections(detections(), actions=ACTIONS)
    write_ava_results(tmp_path / "detections.csv", rows)
    back = read_ava_results(tmp_path / "detections.csv")
    np.testing.assert_array_equal(back.scores.astype(np.float32), rows.scores.astype(np.float32))
    np.testing.assert_array_equal(back.boxes.astype(np.float32), rows.boxes.astype(np.float32))
    assert list(back.video) == list(rows.video)


def test_no_detections_make_no_rows() -> None:
    assert len(DetectionRows.from_detections([], actions=ACTIONS)) == 0


def test_dense_scores_are_written_without_pickling(tmp_path: Path) -> None:
    found = detections()
    write_dense_scores(found, tmp_path / "dense.npz")
    with np.load(tmp_path / "dense.npz", allow_pickle=False) as dense:
        assert dense["video"].tolist() == ["a", "a", "b"]
        np.testing.assert_array_equal(dense["action_scores"], np.concatenate([each.action_scores for each in found]))


def test_sigmoid_for_many_actions_and_softmax_for_one() -> None:
    logits = torch.tensor([[0.0, 2.0, -1.0]])
    assert activate(logits, "sigmoid").tolist()[0] == pytest.approx([0.5, 0.880797, 0.268941], abs=1e-6)
    assert float(activate(logits, "softmax").sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "logits"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_of_damaged_weights_are_refused(activation: Activation, value: float) -> None:
    # A softmax of infinity is NaN; a sigmoid of infinity is 1, and the logits of damaged weights hold NaN, too.
    logits = torch.tensor([[0.0, value], [0.0, float("nan")]])
    with pytest.raises(InputError, match="scores contain NaN or infinity"):
        finite_scores(activate(logits, activation))


def test_controls_stop_or_reverse_time() -> None:
    clips = torch.arange(2 * 3 * 4).view(1, 2, 3, 4, 1).transpose(1, 2)  # (1, 3, 2, 4, 1)
    assert torch.equal(apply_control(clips, "reversed")[:, :, 0], clips[:, :, 1])
    still = apply_control(clips, "still")
    assert torch.equal(still[:, :, 0], clips[:, :, 1])
    assert torch.equal(still[:, :, 1], clips[:, :, 1])
    assert torch.equal(apply_control(clips, "none"), clips)


def test_the_scores_of_actions_are_multiplied_by_those_of_the_persons() -> None:
    torch.manual_seed(0)
    detector = build_detector(DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=4), num_actions=3)).eval()
    clips = torch.randint(0, 256, (1, 3, 4, 32, 32), dtype=torch.uint8)
    boxes = torch.tensor([[0.0, 0.0, 16.0, 32.0], [16.0, 0.0, 32.0, 32.0]])
    sure = np.array([0.9, 0.5], dtype=np.float32)
    persons = PersonBoxes(FrameKey("a", 0), boxes.numpy() / 32, sure)
    plain, multiplied = (
        Scoring(multi_label=True, by_person=by_person).score(detector, clips, [boxes], [persons])[0]
        for by_person in (False, True)
    )
    np.testing.assert_array_equal(multiplied.action_scores, plain.action_scores * sure[:, None])
    np.testing.assert_array_equal(multiplied.person_scores, sure)


@pytest.mark.parametrize("follows", [False, True])
def test_a_clip_and_its_mirror_image_score_alike_with_flip(follows: bool) -> None:
    torch.manual_seed(0)
    head = RoIHeadConfig(roi="track" if follows else "static")
    detector = build_detector(DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=4), head=head, num_actions=3))
    detector.eval()
    clips = torch.randint(0, 256, (1, 3, 4, 32, 40), dtype=torch.uint8)
    boxes = torch.tensor([[3.0, 5.0, 17.0, 30.0]])
    mirrored = torch.tensor([[23.0, 5.0, 37.0, 30.0]])
    if follows:
        boxes, mirrored = (each[:, None].repeat(1, 4, 1) for each in (boxes, mirrored))
    persons = [PersonBoxes(FrameKey("a", 0), np.zeros((1, 4), np.float32), np.ones(1, np.float32))]

    def score(clips: torch.Tensor, boxes: torch.Tensor, *, flip: bool) -> np.ndarray:
        (found,) = Scoring(multi_label=True, flip=flip).score(detector, clips, [boxes], persons)
        return found.action_scores

    here, there = score(clips, boxes, flip=False), score(clips.flip(-1), mirrored, flip=False)
    assert np.abs(here - there).max() > 1e-4
    np.testing.assert_allclose(score(clips, boxes, flip=True), (here + there) / 2, atol=1e-6)
    np.testing.assert_allclose(score(clips.flip(-1), mirrored, flip=True), (here + there) / 2, atol=1e-6)


TINY_VIT = VitConfig(depth=2, width=16, heads=2, patch=8, frames=4, image=32)
NETWORKS: dict[str, BackboneConfig] = {
    "vit": TINY_VIT,
    "vit that pads": TINY_VIT.model_copy(update={"remainder": "pad"}),
    "mvit": MViTConfig(depth=2, width=8, frames=4, image=32, widen_at=(1,), pool_at=(1,)),
    "slowonly": SlowOnlyConfig(depth=18, width=4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_of_clips_of_several_sizes_gives_the_logits_of_each_alone(name: str) -> None:
    torch.manual_seed(0)
    detector = build_detector(DetectorConfig(backbone=NETWORKS[name], num_actions=3)).eval()
    sizes = [(32, 40), (44, 32), (32, 40), (32, 32), (44, 32)]
    samples = [
        ClipSample(
            torch.randint(0, 256, (3, 4, height, width), dtype=torch.uint8),
            torch.tensor([[2.0, 3.0, 20.0, 30.0], [9.0, 1.0, 31.0, 29.0]])[: 1 + place % 2],
            None,
            FrameKey("a", place),
        )
        for place, (height, width) in enumerate(sizes)
    ]
    batches = collate(samples).batches
    assert [len(batch) for batch in batches] == [2, 2, 1]  # one forward pass for each size
    found: dict[FrameKey, torch.Tensor] = {}
    with torch.inference_mode():
        for batch in batches:
            logits = detector(detector.normalize(batch.clips), batch.boxes)
            parts = logits.split([len(boxes) for boxes in batch.boxes])
            found |= dict(zip(batch.keys, parts, strict=True))
        for sample in samples:
            alone = detector(detector.normalize(sample.frames[None]), [sample.boxes])
            torch.testing.assert_close(found[sample.key], alone, atol=1e-5, rtol=0)
