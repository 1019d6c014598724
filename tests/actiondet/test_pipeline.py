from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.config.data_sets import AvaConfig, SplitConfig
from actiondet.config.networks import DetectorConfig, RoIHeadConfig, SlowOnlyConfig
from actiondet.config.schema import ClipConfig, DetectionConfig, TransformConfig
from actiondet.data.transforms import BoxedClip, WholeFrameTransform
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.loading import Trained, TrainedDetector
from actiondet.engine.scorer import TorchScorer
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.weights import Report
from actiondet.persons.base import Frame
from actiondet.pipeline import VideoPipeline
from actiondet.video import VideoWriter, clip_frames, index_video, open_video
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import FrameKey, PersonBoxes

SECOND = 1_000_000
ACTIONS = ActionList((1, 2, 5), ("walk", "wave", "jump"), (None,) * 3)


def config(*, multi_label: bool = True) -> DetectionConfig:
    split = SplitConfig(truth="truth.csv")
    return DetectionConfig(
        model=DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=8), num_actions=5, multi_label=multi_label),
        clip=ClipConfig(frames=4, stride=3),
        transform=TransformConfig(train_short_side=(48, 48), train_crop=48, test_short_side=48),
        data=AvaConfig(videos="videos", actions="actions.pbtxt", train=split, val=split),
    )


def trained(settings: DetectionConfig, detector: ActionDetector) -> TrainedDetector:
    return Trained(settings, detector, ACTIONS, Report(Path("weights.pt"), "actiondet"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4.3 seconds of noise at 10 fps, 96 x 72."""
    path = tmp_path_factory.mktemp("pipeline") / "noise.mp4"
    random = np.random.default_rng(0)
    with VideoWriter(path, Fraction(10), 96, 72, sound_of=None) as writer:
        for _ in range(43):
            coarse = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            writer.write(coarse.repeat(8, axis=0).repeat(8, axis=1))
    return path


class SomePersons:
    """Finds as many persons as the moment's second modulo three; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[FrameKey, Frame]] = []

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        self.asked += zip(keys, frames, strict=True)
        return [self.persons(key) for key in keys]

    def persons(self, key: FrameKey) -> PersonBoxes:
        count = key.moment // SECOND % 3
        boxes = np.array([[0.1 * place, 0.2, 0.1 * place + 0.5, 0.9] for place in range(count)], dtype=np.float32)
        return PersonBoxes(key, boxes.reshape(-1, 4), np.full(count, 0.9, dtype=np.float32))


def build(persons: SomePersons, *, multi_label: bool = True, **options: float) -> VideoPipeline:
    torch.manual_seed(0)
    settings = config(multi_label=multi_label)
    return VideoPipeline(TorchScorer(trained(settings, build_detector(settings.model))), persons, **options)  # type: ignore[arg-type]


def test_every_moment_is_scored_as_in_testing(video: Path) -> None:
    found = list(build(SomePersons(), batch=3)(video))
    torch.manual_seed(0)
    detector = build_detector(config().model).eval()
    index = index_video(video)
    assert [each.key for each in found] == [FrameKey("noise", second * SECOND) for second in range(5)]
    assert [len(each) for each in found] == [0, 1, 2, 0, 1]
    with open_video(video) as reader, torch.inference_mode():
        for each in found:
            wanted = clip_frames(index.frame_times, center_us=each.key.moment, frames=4, stride=3, clip_fps=30.0)
            boxed = BoxedClip.of(reader.read(wanted.tolist()), each.boxes)
            frames, boxes = WholeFrameTransform(short_side=48)(boxed).tensors()
            scores = detector(detector.normalize(frames[None]), [boxes]).sigmoid()
            assert each.action_scores.shape == (len(each), 5)
            assert each.action_scores == pytest.approx(scores.numpy(), abs=1e-5)


def test_clips_are_scored_at_several_sizes_and_mirrored_as_the_settings_say(video: Path) -> None:
    def scores(**test: object) -> list[np.ndarray]:
        torch.manual_seed(0)
        settings = config().model_copy(update={"test": type(config().test).model_validate(test)})
        pipeline = VideoPipeline(TorchScorer(trained(settings, build_detector(settings.model))), SomePersons())
        return [each.action_scores for each in pipeline(video)]

    plain, small, large, both = (
        scores(),
        scores(short_sides=[40]),
        scores(short_sides=[48]),
        scores(short_sides=[40, 48]),
    )
    flipped, sure = scores(flip=True), scores(person_score="multiply")
    for place in (1, 2, 4):
        np.testing.assert_array_equal(plain[place], large[place])
        np.testing.assert_allclose(both[place], (small[place] + large[place]) / 2, atol=1e-6)
        assert 1e-5 < np.abs(flipped[place] - plain[place]).max() < 0.5
        np.testing.assert_allclose(sure[place], 0.9 * plain[place], rtol=1e-6)


class Walker:
    """Finds one person, who walks to the right, at every moment but the last."""

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        return [self.persons(key) for key in keys]

    def persons(self, key: FrameKey) -> PersonBoxes:
        second = key.moment / SECOND
        boxes = np.array([[0.1 * second, 0.2, 0.1 * second + 0.3, 0.9]], dtype=np.float32)
        there = int(second < 4)
        return PersonBoxes(key, boxes[:there], np.ones(there, dtype=np.float32))


def tracking_config() -> DetectionConfig:
    settings = config()
    head = RoIHeadConfig(roi="track", temporal_pool="max")
    return settings.model_copy(update={"model": settings.model.model_copy(update={"head": head})})


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_persons_are_followed_where_the_network_asks_for_it(video: Path, batch: int) -> None:
    torch.manual_seed(0)
    settings = tracking_config()
    detector = build_detector(settings.model).eval()
    found = list(VideoPipeline(TorchScorer(trained(settings, detector)), Walker(), batch=batch)(video))  # type: ignore[arg-type]
    index = index_video(video)
    assert [len(each) for each in found] == [1, 1, 1, 1, 0]
    with open_video(video) as reader, torch.inference_mode():
        for second, each in enumerate(found[:4]):
            wanted = clip_frames(index.frame_times, center_us=each.key.moment, frames=4, stride=3, clip_fps=30.0)
            # He stands still before he is first and after he is last seen.
            when = np.clip(index.frame_times[wanted] / SECOND, 0, 3)
            boxes = np.array([[[0.1 * t, 0.2, 0.1 * t + 0.3, 0.9] for t in when]], dtype=np.float32)
            clip, pixel_boxes = WholeFrameTransform(short_side=48)(
                BoxedClip.of(reader.read(wanted.tolist()), boxes)
            ).tensors()
            scores = detector(detector.normalize(clip[None]), [pixel_boxes]).sigmoid()
            assert each.action_scores == pytest.approx(scores.numpy(), abs=1e-5), second


def test_the_given_detector_stays_as_it_is(video: Path) -> None:
    detector = build_detector(config().model).train()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    pipeline = VideoPipeline(TorchScorer(trained(config(), detector)), SomePersons())
    assert sum(map(len, pipeline(video))) == 4
    assert detector.training
    assert all(parameter.requires_grad for parameter in detector.parameters())
    assert before.keys() == detector.state_dict().keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


def test_persons_are_looked_for_in_the_frame_of_the_moment(video: Path) -> None:
    persons = SomePersons()
    list(build(persons)(video))
    with open_video(video) as reader:
        for key, frame in persons.asked:
            assert np.array_equal(frame, reader.read([key.moment // 100_000])[0])


def test_the_batch_changes_nothing(video: Path) -> None:
    one = list(build(SomePersons(), batch=1)(video))
    many = list(build(SomePersons(), batch=100)(video))
    for each, other in zip(one, many, strict=True):
        assert each.key == other.key
        assert each.action_scores == pytest.approx(other.action_scores, abs=1e-5)


def test_start_and_every_set_the_moments(video: Path) -> None:
    found = list(build(SomePersons(), start=900.0, every=0.5)(video))
    assert [each.key.moment / SECOND for each in found] == [900 + place / 2 for place in range(9)]


def test_scores_of_single_label_networks_sum_to_one(video: Path) -> None:
    found = list(build(SomePersons(), multi_label=False)(video))
    assert found[1].action_scores.sum(axis=1) == pytest.approx([1.0])


def test_the_pipeline_counts_its_moments_beforehand(video: Path) -> None:
    pipeline = build(SomePersons(), every=0.7)
    assert pipeline.count_moments(index_video(video)) == len(list(pipeline(video))) == 7


def test_a_checkpoint_brings_network_clips_and_actions(video: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = build_detector(config().model)
    save_checkpoint(Checkpoint(config(), detector.state_dict(), ACTIONS), tmp_path / "best.pt")
    pipeline = VideoPipeline.from_checkpoint(tmp_path / "best.pt", persons=SomePersons())
    assert pipeline.actions == ACTIONS
    for each, other in zip(pipeline(video), build(SomePersons())(video), strict=True):
        assert np.array_equal(each.action_scores, other.action_scores)


def test_persons_are_found_by_name(video: Path, tmp_path: Path) -> None:
    save_checkpoint(Checkpoint(config(), build_detector(config().model).state_dict(), ACTIONS), tmp_path / "best.pt")
    found = list(VideoPipeline.from_checkpoint(tmp_path / "best.pt", persons="ssd", every=3)(video))
    assert len(found) == 2
    with pytest.raises(InputError, match=r"persons 'sdd'.*ssd"):
        VideoPipeline.from_checkpoint(tmp_path / "best.pt", persons="sdd")
    with pytest.raises(InputError, match=r"persons 'stored': expected a detector, its settings, or one of"):
        VideoPipeline.from_checkpoint(tmp_path / "best.pt", persons="stored")


@pytest.mark.parametrize("options", [{"every": 0.0}, {"every": -1.0}, {"batch": 0}])
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected both to be above 0"):
        build(SomePersons(), **options)


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.mp4: no such file"):
        list(build(SomePersons())(tmp_path / "nothing.mp4"))


def test_scores_of_damaged_weights_are_refused(video: Path) -> None:
    settings = config()
    detector = build_detector(settings.model)
    with torch.no_grad():
        next(iter(detector.head.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="scores contain NaN or infinity"):
        list(VideoPipeline(TorchScorer(trained(settings, detector)), SomePersons())(video))  # type: ignore[arg-type]
