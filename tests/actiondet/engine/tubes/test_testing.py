"""Testing on the frames of a set of tubes: dense streaming, carrying, parts, and files that do not fit."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig, parse_config_of
from actiondet.data import build_test_set, dense
from actiondet.datasets.feature_bank import FeatureBank, VideoFeatures, write_feature_bank
from actiondet.datasets.splits import SplitName
from actiondet.engine.detection.bank_building import build_bank
from actiondet.engine.detection.task import DetectionTask
from actiondet.engine.detection.testing import build_test_loader, detect_all
from actiondet.engine.devices import launch
from actiondet.engine.tubes import testing as tube_testing
from actiondet.engine.tubes.multisports_rows import RowChoice
from actiondet.engine.tubes.testing import FrameTest, run_tube_test
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from evaluation.errors import InputError
from evaluation.formats.multisports import read_frame_detections, read_multisports, write_multisports
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import ActionDetections, FrameKey, PersonBoxes
from evaluation.tube_ap import ThresholdMapResult
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet
from tests.stamped_videos import HEIGHT, WIDTH, write_stamped

NAMES = ("judo/one", "judo/two", "judo/three")
COUNTS = {"judo/one": 30, "judo/two": 9, "judo/three": 12}
LABELS = ("throw", "hold", "fall", "rise")
BOX = (0.1, 0.1, 0.6, 0.9)
SPLITS: tuple[SplitName, ...] = ("train", "val")
SMALL = {"backbone": {"name": "slowonly", "depth": 18, "width": 4}, "num_actions": 4, "multi_label": False}


def write_set(folder: Path, films: Path, *, counts: dict[str, int] = COUNTS) -> dict[str, Any]:
    """Truth: one tube over frames 3 to 6 of every video; one or two persons at every frame."""
    truth = TubeTruth(
        labels=LABELS,
        unscored=frozenset(),
        train_videos=NAMES,
        test_videos=NAMES,
        frame_counts=counts,
        sizes=dict.fromkeys(NAMES, (HEIGHT, WIDTH)),
        tubes=TubeSet(
            videos=NAMES,
            video=np.arange(3),
            labels=np.arange(3),
            scores=np.ones(3),
            offsets=np.arange(4) * 4,
            moments=np.tile(np.arange(3, 7), 3),
            boxes=np.tile(np.array(BOX) * (WIDTH, HEIGHT, WIDTH, HEIGHT), (12, 1)),
            box_scores=np.ones(12),
        ),
    )
    write_multisports(folder / "GT.pkl", truth)
    boxes = np.array([BOX, (0.5, 0.2, 1.0, 1.0)], dtype=np.float32)
    scores = np.array([0.99, 0.95], dtype=np.float32)
    persons = [
        PersonBoxes(FrameKey(name, frame * 1_000_000), boxes[: 1 + frame % 2], scores[: 1 + frame % 2])
        for name, count in counts.items()
        for frame in range(1, count + 1)
    ]
    write_proposals(folder / "persons.pkl", persons)
    part = {"truth": str(folder / "GT.pkl"), "proposals": str(folder / "persons.pkl")}
    return {"name": "multisports", "videos": str(films), "train": part, "val": part}


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    (folder / "judo").mkdir()
    for name, count in COUNTS.items():
        write_stamped(folder / f"{name}.mp4", count, rate=Fraction(25))
    return folder


@pytest.fixture
def data(tmp_path: Path, films: Path) -> dict[str, Any]:
    return write_set(tmp_path, films)


def config_of(data: dict[str, Any], **more: Any) -> DetectionConfig:
    settings = {
        "task": "detection",
        "model": {**SMALL, "head": {"name": "roi"}},
        "clip": {"frames": 4, "stride": 2, "clip_fps": None},
        "transform": {"test_short_side": 64},
        "data": data,
        "train": {"workers": 0},
        "test": {"batch": 4},
    }
    return parse_config_of(DetectionConfig, json.dumps(settings | more), source="test")


@pytest.fixture(scope="session")
def detector() -> ActionDetector:
    torch.manual_seed(0)
    example = {"videos": "", "name": "multisports", "train": {"truth": ""}, "val": {"truth": ""}}
    return build_detector(config_of(example).model).eval()


@pytest.fixture
def test_in(tmp_path: Path, detector: ActionDetector) -> Callable[..., ThresholdMapResult]:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"stands for the weights")

    def test(config: DetectionConfig, folder: str, **how: Any) -> ThresholdMapResult:
        found = run_tube_test(
            config, detector, weights=weights, folder=tmp_path / folder, fabric=launch(), test=FrameTest(**how)
        )
        assert found is not None
        return found

    return test


def rows(tmp_path: Path, folder: str) -> np.ndarray:
    table = pickle.loads((tmp_path / folder / "frame_detections.pkl").read_bytes())
    assert isinstance(table, np.ndarray)
    return table


Test = Callable[..., ThresholdMapResult]


def test_dense_testing_gives_the_scores_of_clips_that_are_read_one_by_one(
    data: dict[str, Any], test_in: Test, detector: ActionDetector, tmp_path: Path
) -> None:
    config = config_of(data)
    result = test_in(config, "dense", choice=RowChoice(min_score=0))
    fabric = launch()
    dataset = build_test_set(config.data, clip=config.clip, transform=config.transform, num_actions=4, moments="all")
    plain = detect_all(detector, dataset, build_test_loader(dataset, config, fabric), config, fabric)
    table = rows(tmp_path, "dense")
    assert len(table) == sum(each.action_scores.size for each in plain)
    place = {name: number for number, name in enumerate(NAMES)}
    for each in plain:
        mine = table[(table[:, 0] == place[each.key.video]) & (table[:, 1] == each.key.moment)]
        np.testing.assert_allclose(mine[:, 3].reshape(-1, 4), each.action_scores, rtol=2e-4)
        np.testing.assert_allclose(mine[::4, 4:], each.boxes * (WIDTH, HEIGHT, WIDTH, HEIGHT), rtol=1e-5)
    assert table[0, :3].tolist() == [0, 1, 0]
    truth = read_multisports(tmp_path / "GT.pkl")
    assert len(read_frame_detections(tmp_path / "dense/frame_detections.pkl", truth)) == len(table)
    assert 0 <= result.mean_ap <= 1


@pytest.mark.parametrize("with_proposals", [True, False])
def test_dense_testing_follows_persons_as_clips_read_one_by_one_do(
    data: dict[str, Any], test_in: Test, tmp_path: Path, with_proposals: bool
) -> None:
    # Two persons who walk; the second one comes in late, is missed for some frames, and leaves early.
    boxes = {frame: np.array([[0.02 * frame, 0.1, 0.02 * frame + 0.2, 0.9]], np.float32) for frame in range(1, 31)}
    for frame in (*range(5, 10), *range(14, 25)):
        other = np.array([[0.8 - 0.02 * frame, 0.2, 1 - 0.02 * frame, 0.8]], np.float32)
        boxes[frame] = np.concatenate([boxes[frame], other])
    if with_proposals:
        found = [
            PersonBoxes(FrameKey("judo/one", n * 1_000_000), each, np.ones(len(each), np.float32))
            for n, each in boxes.items()
        ]
        write_proposals(tmp_path / "persons.pkl", found)
    else:
        data["val"]["proposals"] = None
        truth = pickle.loads((tmp_path / "GT.pkl").read_bytes())
        walk = [[n, *(boxes[n][0] * (WIDTH, HEIGHT, WIDTH, HEIGHT))] for n in range(8, 20)]
        truth["gttubes"]["judo/one"] = {0: [np.array(walk, dtype=np.float32)]}
        (tmp_path / "GT.pkl").write_bytes(pickle.dumps(truth, 4))
    model = {
        "backbone": {"name": "slowonly", "depth": 18, "width": 4},
        "head": {"name": "roi", "roi": "track", "track_head": "conv", "conv_channels": 8},
        "num_actions": 4,
    }
    config = config_of(data, model=model)
    torch.manual_seed(0)
    network = build_detector(config.model).eval()
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"stands for the weights")
    fabric = launch()
    test = FrameTest(choice=RowChoice(min_score=0))
    run_tube_test(config, network, weights=weights, folder=tmp_path / "dense", fabric=fabric, test=test)
    dataset = build_test_set(
        config.data, clip=config.clip, transform=config.transform, num_actions=4, moments="all", tracks=True
    )
    plain = detect_all(network, dataset, build_test_loader(dataset, config, fabric), config, fabric)
    table = rows(tmp_path, "dense")
    expected = np.concatenate([each.action_scores for each in plain if each.key.video == "judo/one"])
    assert len(expected) == (30 + 16 if with_proposals else 12)
    assert np.ptp(expected[:, 0]) > 1e-4
    np.testing.assert_allclose(table[table[:, 0] == 0, 3].reshape(-1, 4), expected, rtol=2e-4)


def test_every_frame_is_decoded_and_resized_once(
    data: dict[str, Any], test_in: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actiondet.data import resized_frames

    scaled = resized_frames.scaled
    resized = 0

    def counted(frames: Any, *arguments: Any) -> Any:
        nonlocal resized
        resized += len(frames)
        return scaled(frames, *arguments)

    monkeypatch.setattr(resized_frames, "scaled", counted)
    test_in(config_of(data), "dense")
    assert resized == sum(COUNTS.values())


def test_the_indices_of_an_earlier_run_are_used(
    data: dict[str, Any], test_in: Test, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_in(config_of(data), "first")

    def indexed(path: object) -> None:
        raise AssertionError(f"{path} is indexed again")

    monkeypatch.setattr(dense, "index_video", indexed)
    test_in(config_of(data), "second")
    np.testing.assert_array_equal(rows(tmp_path, "first"), rows(tmp_path, "second"))


def test_annotated_frames_alone_are_tested_on_demand(data: dict[str, Any], test_in: Test, tmp_path: Path) -> None:
    test_in(config_of(data), "annotated", moments="annotated")
    assert sorted({(int(video), int(frame)) for video, frame in rows(tmp_path, "annotated")[:, :2]}) == [
        (video, frame) for video in range(3) for frame in range(3, 7)
    ]


def test_a_stride_carries_persons_to_every_frame_between(data: dict[str, Any], test_in: Test, tmp_path: Path) -> None:
    test_in(config_of(data), "strided", stride=4)
    test_in(config_of(data), "whole")
    strided, whole = rows(tmp_path, "strided"), rows(tmp_path, "whole")
    for table in (strided, whole):
        assert {(int(v), int(f)) for v, f in table[:, :2]} == {
            (v, f) for v, name in enumerate(NAMES) for f in range(1, COUNTS[name] + 1)
        }
    seen = np.isin(strided[:, 1], np.arange(1, 31, 4))
    same = np.isin(whole[:, 1], np.arange(1, 31, 4))
    np.testing.assert_allclose(strided[seen], whole[same], rtol=2e-4)
    # Frame 2 shows what was found at frame 1.
    first, second = (strided[(strided[:, 0] == 0) & (strided[:, 1] == frame)] for frame in (1, 2))
    np.testing.assert_array_equal(first[:, 2:], second[:, 2:])


def test_a_stride_passes_over_videos_without_annotated_frames(
    data: dict[str, Any], test_in: Test, tmp_path: Path
) -> None:
    content = pickle.loads((tmp_path / "GT.pkl").read_bytes())
    content["gttubes"]["judo/two"] = {}
    (tmp_path / "GT.pkl").write_bytes(pickle.dumps(content, 4))
    test_in(config_of(data), "out", moments="annotated", stride=4)
    assert {(int(video), int(frame)) for video, frame in rows(tmp_path, "out")[:, :2]} == {
        (video, frame) for video in (0, 2) for frame in range(3, 7)
    }


def test_rows_are_the_scores_that_are_asked_for() -> None:
    found = ActionDetections(
        FrameKey("v", 7),
        np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]], dtype=np.float32),
        np.ones(2, dtype=np.float32),
        np.array([[0.004, 0.9, 0.096], [0.3, 0.3, 0.4]], dtype=np.float32),
    )
    table = RowChoice().of(found, place=3, size=(100, 200))
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[0], [3, 7, 1, 0.9, 20, 20, 60, 40], rtol=1e-6)
    assert table[:, 2].tolist() == [1, 2, 0, 1, 2]
    assert RowChoice(labels_per_box=1).of(found, place=0, size=(1, 1))[:, 2].tolist() == [1, 2]
    assert RowChoice(labels_per_box=2).of(found, place=0, size=(1, 1))[:, 2].tolist() == [1, 2, 0, 2]
    assert RowChoice(min_score=0).of(found, place=0, size=(1, 1))[:, 2].tolist() == [0, 1, 2] * 2


class StoppedError(Exception):
    pass


def test_a_test_that_was_stopped_goes_on_and_ends_with_the_same_file(
    data: dict[str, Any], test_in: Test, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(data)
    test_in(config, "whole")
    looks = 0
    detect = tube_testing.detect_batch

    def stop_after_ten(*arguments: Any, **more: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == 10:  # the first video takes 8 batches, the second 3
            raise StoppedError
        return detect(*arguments, **more)

    monkeypatch.setattr(tube_testing, "detect_batch", stop_after_ten)
    with pytest.raises(StoppedError):
        test_in(config, "stopped")
    (parts,) = (tmp_path / "stopped").glob("frame_detections.pkl.*.parts")
    assert [str(path.relative_to(parts)) for path in parts.rglob("*.npz")] == ["judo/one.npz"]
    test_in(config, "stopped")
    assert looks == 10 + 3 + 3
    stopped, whole = (tmp_path / folder / "frame_detections.pkl" for folder in ("stopped", "whole"))
    assert stopped.read_bytes() == whole.read_bytes()
    assert not parts.exists()


def test_a_test_with_other_settings_begins_anew(
    data: dict[str, Any], test_in: Test, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any) -> Any:
        raise StoppedError

    monkeypatch.setattr(tube_testing, "_finish", stop)
    for choice in (RowChoice(), RowChoice(min_score=0.1)):
        with pytest.raises(StoppedError):
            test_in(config_of(data), "out", choice=choice)
    assert len(list((tmp_path / "out").glob("*.parts"))) == 2


def test_parts_of_other_weights_truth_or_persons_are_not_mixed_in_but_videos_may_be_added(
    data: dict[str, Any], test_in: Test, tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "films/judo").mkdir(parents=True)
    for name in ("one", "three"):
        (tmp_path / f"films/judo/{name}.mp4").symlink_to(films / f"judo/{name}.mp4")
    config = config_of(data | {"videos": str(tmp_path / "films")})

    def parts_after(change: Callable[[], object]) -> set[str]:
        change()
        with pytest.raises(StoppedError):
            test_in(config, "out")
        return {str(path.relative_to(tmp_path)) for path in (tmp_path / "out").glob("*.parts/**/*.npz")}

    def stop(*arguments: Any) -> Any:
        raise StoppedError

    monkeypatch.setattr(tube_testing, "_finish", stop)

    def list_another_video_first() -> None:
        content = pickle.loads((tmp_path / "GT.pkl").read_bytes())
        content["test_videos"][0].reverse()  # places change, names stay
        (tmp_path / "GT.pkl").write_bytes(pickle.dumps(content, 4))

    def forget_one_frame() -> None:
        content = pickle.loads((tmp_path / "persons.pkl").read_bytes())
        del content["judo/one,0030"]
        (tmp_path / "persons.pkl").write_bytes(pickle.dumps(content, 4))

    first = parts_after(lambda: None)
    assert len(first) == 2
    added = parts_after(lambda: (tmp_path / "films/judo/two.mp4").symlink_to(films / "judo/two.mp4"))
    assert added > first
    assert len(added) == 3
    found = [added]
    for change in (list_another_video_first, forget_one_frame, lambda: (tmp_path / "weights.pt").write_bytes(b"other")):
        found.append(parts_after(change))
        assert len(found[-1] - found[-2]) == 3


def test_videos_that_are_missing_short_or_broken_are_counted_and_the_rest_is_tested(
    tmp_path: Path, films: Path, test_in: Test, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "some"
    (folder / "judo").mkdir(parents=True)
    (folder / "judo/one.mp4").symlink_to(films / "judo/one.mp4")
    (folder / "judo/two.mp4").write_bytes(b"no video")
    data = write_set(tmp_path, folder, counts=COUNTS | {"judo/one": 80})
    test_in(config_of(data), "out")
    said = capsys.readouterr().out
    assert "note: missing videos: 1, such as 'judo/three'; their truth counts as missed" in said
    assert "note: videos that cannot be read: 1; the first: " in said
    assert "two.mp4" in said
    # 30 frames of 25 a second: a second after the end is frame 55.
    assert "note: frames up to a second after the end of their file: 25, such as in 'judo/one'" in said
    assert "note: frames far beyond the end of their file: 25, such as in 'judo/one'" in said
    table = rows(tmp_path, "out")
    assert set(table[:, 0]) == {0}
    assert set(table[:, 1]) == set(range(1, 56))
    # What was read is kept for a later run in which the broken file may be mended.
    assert list((tmp_path / "out").glob("*.parts"))


def test_odd_boxes_are_counted_and_the_rest_is_tested(
    data: dict[str, Any], tmp_path: Path, test_in: Test, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes, scores = np.array([[-0.1, 0.1, 0.5, 0.9]], dtype=np.float32), np.ones(1, dtype=np.float32)
    keys = [FrameKey("judo/one", frame * 1_000_000) for frame in (0, 3, 31)] + [FrameKey("judo/five", 1_000_000)]
    write_proposals(tmp_path / "persons.pkl", [PersonBoxes(key, boxes, scores) for key in keys])
    test_in(config_of(data), "out")
    said = capsys.readouterr().out
    assert "persons.pkl: videos that are not in this split: 1, such as 'judo/five'; left out" in said
    assert "persons.pkl: boxes that reach beyond the frame: 1; their inner part is used" in said
    assert "note: videos without a person to test: 2, such as 'judo/two'; nobody is found there" in said
    assert "persons.pkl: frames that their video does not have: 2, such as 0 of 'judo/one'; left out" in said
    table = rows(tmp_path, "out")
    assert set(table[:, 1]) == {3}
    assert table[:, 4].min() == 0


def test_no_readable_video_at_all_is_a_fault(tmp_path: Path, test_in: Test) -> None:
    (tmp_path / "bad/judo").mkdir(parents=True)
    (tmp_path / "bad/judo/one.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match=r"one\.mp4"):
        test_in(config_of(write_set(tmp_path, tmp_path / "bad")), "out")


def test_truth_as_csv_is_tested_in_the_pixels_of_the_files(data: dict[str, Any], tmp_path: Path, test_in: Test) -> None:
    lines = [
        f"{name}.mp4,{frame},{','.join(map(str, BOX))},{label},0"
        for label, name in enumerate(NAMES)
        for frame in range(3, 7)
    ]
    official = test_in(config_of(data), "official")
    (tmp_path / "val.csv").write_text("\n".join(lines) + "\n")
    data = data | {"val": data["val"] | {"truth": str(tmp_path / "val.csv")}}
    table = test_in(config_of(data), "table")
    np.testing.assert_array_equal(rows(tmp_path, "table"), rows(tmp_path, "official"))
    assert table.mean_ap == pytest.approx(official.mean_ap)


def test_workers_change_nothing(data: dict[str, Any], tmp_path: Path, test_in: Test) -> None:
    test_in(config_of(data), "none")
    test_in(config_of(data, train={"workers": 2}), "two")
    none, two = (tmp_path / folder / "frame_detections.pkl" for folder in ("none", "two"))
    assert none.read_bytes() == two.read_bytes()


def test_several_short_sides_give_the_mean_of_their_scores(data: dict[str, Any], tmp_path: Path, test_in: Test) -> None:
    everything = RowChoice(min_score=0)
    tables = []
    for sides in ([48], [64], [48, 64]):
        test_in(config_of(data, test={"batch": 4, "short_sides": sides}), f"{sides}", choice=everything)
        tables.append(rows(tmp_path, f"{sides}"))
    small, large, both = tables
    assert np.abs(small[:, 3] - large[:, 3]).max() > 1e-3
    np.testing.assert_allclose(both[:, 3], (small[:, 3] + large[:, 3]) / 2, atol=1e-6)
    np.testing.assert_array_equal(np.delete(both, 3, axis=1), np.delete(small, 3, axis=1))


def test_a_network_trains_and_tests_with_a_bank_of_its_tubes(
    data: dict[str, Any], detector: ActionDetector, tmp_path: Path
) -> None:
    fabric = launch()
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"stands for the weights")
    for split in SPLITS:
        path = tmp_path / f"{split}.safetensors"
        build_bank(config_of(data), detector, weights=weights, split=split, out=path, fabric=fabric)
        data[split] = data[split] | {"bank": str(path)}
    bank = FeatureBank(tmp_path / "val.safetensors")
    # The persons of frames 1 and 26: once a second.
    assert bank.rows("judo/one").times.tolist() == [0, 0, 1_000_000]
    assert bank.rows("judo/three").times.tolist() == [0, 0]
    head = {
        "name": "roi",
        "dropout_at": "vector",
        "bank": {"channels": bank.channels, "window": 3, "persons": 2, "operator": "max"},
    }
    config = config_of(
        data,
        model={**SMALL, "head": head},
        transform={"train_short_side": [32, 32], "train_crop": 32, "test_short_side": 32},
    )
    task = DetectionTask(config, fabric)
    clips = next(iter(task.loader(epoch=0, start=0)))
    task.loss(task.network.train(), clips, normalizer=torch.tensor(1.0)).backward()
    (gradient,) = (each.grad for name, each in task.network.named_parameters() if name == "head.fc.weight")
    assert gradient is not None
    assert gradient[:, -bank.channels :].abs().max() > 0  # of what is remembered
    trained = task.network.eval()
    everything = FrameTest(choice=RowChoice(min_score=0))
    run_tube_test(config, trained, weights=weights, folder=tmp_path / "test", fabric=fabric, test=everything)
    dataset = build_test_set(
        config.data, clip=config.clip, transform=config.transform, num_actions=4, moments="all", bank=config.model.bank
    )
    plain = detect_all(trained, dataset, build_test_loader(dataset, config, fabric), config, fabric)
    expected = np.concatenate([each.action_scores for each in plain if each.key.video == "judo/one"])
    table = rows(tmp_path, "test")
    np.testing.assert_allclose(table[table[:, 0] == 0, 3].reshape(-1, 4), expected, rtol=2e-4)
    time, score = np.ones(1, dtype=np.int64), np.ones(1, dtype=np.float32)
    features = np.ones((1, bank.channels), dtype=np.float16)
    stranger = VideoFeatures("other", time, time, np.ones((1, 4), dtype=np.float32), score, features)
    write_feature_bank(bank.path, [stranger], {})
    run_tube_test(config, trained, weights=weights, folder=tmp_path / "forgotten", fabric=fabric, test=everything)
    assert np.abs(rows(tmp_path, "forgotten")[:, 3] - table[:, 3]).max() > 1e-4
