from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from actiondet.config.data_sets import AvaConfig, AvaKineticsConfig
from actiondet.config.schema import ClipConfig, TransformConfig
from actiondet.data import Draw, EvaluationSet, TrainingSet, Unreadable, build_test_set, build_training_set
from actiondet.records import ClipSample
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, write_action_list
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes
from tests.stamped_videos import HEIGHT, WIDTH, read_stamp, stamped_frame, write_stamped

# The frames stay as they are, so that their stamps can be read.
AS_IS = TransformConfig(
    train_short_side=(HEIGHT, HEIGHT), train_crop=(HEIGHT, WIDTH), flip=0.0, test_short_side=HEIGHT, min_visible=0.3
)
CLIP = ClipConfig(frames=4, stride=16)
IDS = (1, 4, 9)

TRAIN = """\
one,0902,0.1,0.1,0.4,0.8,4,0
one,0902,0.1,0.1,0.4,0.8,9,0
one,0902,0.5,0.1,0.9,0.8,1,1
one,0903,0.1,0.1,0.4,0.8,1,0
two,0902,0.2,0.2,0.6,0.9,9,5
"""


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos that begin at second 900 of the recording: one.mp4 at 30 frames a second, two.mkv at 10."""
    folder = tmp_path_factory.mktemp("films")
    write_stamped(folder / "one.mp4", 150, rate=Fraction(30))
    write_stamped(folder / "two.mkv", 50, rate=Fraction(10))
    return folder


def boxes(video: str, second: float, *rows: tuple[float, ...]) -> PersonBoxes:
    array = np.array(rows, dtype=np.float32).reshape(-1, 5)
    return PersonBoxes(FrameKey(video, round(second * 1e6)), array[:, :4], array[:, 4])


@pytest.fixture
def files(tmp_path: Path, films: Path) -> dict[str, Any]:
    """Settings of a small whole data set; tests write other files over its own."""
    write_action_list(tmp_path / "all.pbtxt", ActionList(IDS, ("stand", "wave", "jump"), (None,) * 3))
    write_action_list(tmp_path / "some.pbtxt", ActionList((4, 9), ("wave", "jump"), (None,) * 2))
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text(TRAIN)
        write_proposals(
            tmp_path / f"{split}.pkl",
            [
                boxes("one", 902, (0.11, 0.1, 0.4, 0.8, 0.95), (0.0, 0.0, 0.3, 0.3, 0.97), (0.5, 0.1, 0.6, 0.2, 0.3)),
                boxes("one", 904, (0.3, 0.3, 0.6, 0.6, 0.5)),
                boxes("two", 902),
            ],
        )
    return {
        "videos": str(films),
        "actions": str(tmp_path / "all.pbtxt"),
        "evaluated_actions": str(tmp_path / "some.pbtxt"),
        **{
            split: {"truth": str(tmp_path / f"{split}.csv"), "proposals": str(tmp_path / f"{split}.pkl")}
            for split in ("train", "val")
        },
    }


def training_part(files: dict[str, Any], *, num_actions: int = 9, kind: type[AvaConfig] = AvaConfig) -> TrainingSet:
    return build_training_set(kind(**files), clip=CLIP, transform=AS_IS, num_actions=num_actions, seed=0)


def scored_part(
    files: dict[str, Any], *, clip: ClipConfig = CLIP, kind: type[AvaConfig] = AvaConfig, **how: Any
) -> EvaluationSet:
    return build_test_set(kind(**files), clip=clip, transform=AS_IS, num_actions=9, **how)


def clip(dataset: TrainingSet | EvaluationSet, key: tuple[str, int]) -> ClipSample:
    sample = dataset[Draw(0, list(dataset.keys).index(FrameKey(key[0], key[1] * 1_000_000)))]
    assert isinstance(sample, ClipSample), sample
    return sample


def stamps(sample: ClipSample) -> list[int]:
    return [read_stamp(frame) for frame in sample.frames.permute(1, 2, 3, 0).numpy()]


# ---------------------------------------------------------------- timing


def test_second_902_of_a_file_cut_at_900_is_frame_60_at_30_frames_a_second(files: dict[str, Any]) -> None:
    files["val"]["proposals"] = None
    assert stamps(clip(scored_part(files), ("one", 902))) == [28, 44, 60, 76]


def test_strides_are_in_time_whatever_the_rate_of_the_file(files: dict[str, Any]) -> None:
    files["val"]["proposals"] = None
    # 16 / 30 of a second are 5.33 frames of 0.1 s: 20 - 10.67, 20 - 5.33, 20, 20 + 5.33
    assert stamps(clip(scored_part(files), ("two", 902))) == [9, 15, 20, 25]
    own = scored_part(files, clip=ClipConfig(frames=4, stride=2, clip_fps=None))
    assert stamps(clip(own, ("two", 902))) == [16, 18, 20, 22]


def test_windows_are_clamped_to_the_video(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("one,900,0,0,1,1,1\none,904.9,0,0,1,1,1\n")
    files["val"]["proposals"] = None
    dataset = scored_part(files)
    assert stamps(clip(dataset, ("one", 900))) == [0, 0, 0, 16]
    sample = dataset[Draw(0, 1)]
    assert isinstance(sample, ClipSample)
    assert stamps(sample) == [115, 131, 147, 149]


@pytest.mark.parametrize(("template", "first"), [("img_{:05d}.jpg", 1), ("{:04d}.png", 0), ("%06d.jpg", 5)])
def test_pictures_give_the_same_frames_as_the_file(
    files: dict[str, Any], tmp_path: Path, template: str, first: int
) -> None:
    (tmp_path / "frames" / "one").mkdir(parents=True)
    for number in range(80):
        name = template % (number + first) if "%" in template else template.format(number + first)
        cv2.imwrite(str(tmp_path / "frames" / "one" / name), stamped_frame(number))
    files |= {"videos": str(tmp_path / "frames"), "unreadable": "skip"}
    files["val"]["proposals"] = None
    dataset = scored_part(files | {"pictures": {"template": template, "first": first, "fps": 30}})
    assert dataset.missing == ("two",)
    assert stamps(clip(dataset, ("one", 902))) == [28, 44, 60, 76]


def test_the_annotations_clock_may_start_anywhere(files: dict[str, Any]) -> None:
    files["val"]["proposals"] = None
    dataset = scored_part(files | {"start": 901.5})
    assert stamps(clip(dataset, ("one", 902)))[2] == 15
    fault = scored_part(files | {"start": 0.0})[Draw(0, 0)]
    assert isinstance(fault, Unreadable)
    assert "902.000 s after the beginning of the file, which lasts 4.967 s" in fault.message


def test_training_clips_jitter_around_the_moment_unless_told_not_to(files: dict[str, Any]) -> None:
    even = CLIP.model_copy(update={"frame_jitter": False})
    still = build_training_set(AvaConfig(**files), clip=even, transform=AS_IS, num_actions=9, seed=0)
    assert stamps(clip(still, ("one", 902))) == [28, 44, 60, 76]
    dataset = training_part(files)
    seen = np.array(
        [stamps(sample) for epoch in range(20) if isinstance(sample := dataset[Draw(epoch, 0)], ClipSample)]
    )
    around = seen - [28, 44, 60, 76]
    assert around.min() >= -8
    assert around.max() <= 7
    assert len(np.unique(around)) > 8


def test_a_data_set_can_be_sent_to_spawned_workers(files: dict[str, Any]) -> None:
    for dataset in (training_part(files), scored_part(files)):
        here = clip(dataset, ("one", 902))  # its file is open now
        there = clip(pickle.loads(pickle.dumps(dataset)), ("one", 902))
        assert torch.equal(here.frames, there.frames)
        assert torch.equal(here.boxes, there.boxes)


# ---------------------------------------------------------------- who is there


def test_training_moments_are_those_with_people_and_proposals_join_them(files: dict[str, Any]) -> None:
    dataset = training_part(files)
    assert list(dataset.keys) == [("one", 902_000_000), ("one", 903_000_000), ("two", 902_000_000)]
    sample = clip(dataset, ("one", 902))
    assert sample.labels is not None
    # two true persons and the proposal that shows the first; the others show nobody
    labels = [[column + 1 for column in row.nonzero().flatten().tolist()] for row in sample.labels]
    assert labels == [[4, 9], [1], [4, 9]]
    assert sample.labels.shape[1] == 9
    expected = np.array([(0.1, 0.1, 0.4, 0.8), (0.5, 0.1, 0.9, 0.8), (0.11, 0.1, 0.4, 0.8)])
    np.testing.assert_allclose(sample.boxes, expected * ([WIDTH, HEIGHT] * 2), rtol=1e-5)
    assert [len(clip(dataset, key).boxes) for key in (("one", 903), ("two", 902))] == [1, 1]
    assert dataset.actions.ids == IDS


def test_without_proposals_training_takes_the_truth_once(files: dict[str, Any]) -> None:
    files["train"]["proposals"] = None
    assert len(clip(training_part(files), ("one", 902)).boxes) == 2


def test_test_clips_show_the_proposals_with_the_numbers_of_the_file(files: dict[str, Any]) -> None:
    dataset = scored_part(files)
    assert list(dataset.keys) == [("one", 902_000_000)]
    assert dataset.without_persons == 2  # one at 903, two at 902
    persons = dataset.persons[dataset.keys[0]]
    assert persons.scores.tolist() == np.array([0.97, 0.95], np.float32).tolist()  # 0.3 is below the threshold
    assert persons.boxes.tolist() == np.array([(0, 0, 0.3, 0.3), (0.11, 0.1, 0.4, 0.8)], np.float32).tolist()
    sample = clip(dataset, ("one", 902))
    assert sample.labels is None
    np.testing.assert_allclose(sample.boxes, persons.boxes * ([WIDTH, HEIGHT] * 2), rtol=1e-5)
    assert len(dataset.truth) == 5
    assert dataset.evaluated.ids == (4, 9)


def test_all_moments_are_those_with_proposals(files: dict[str, Any]) -> None:
    dataset = scored_part(files, moments="all")
    assert list(dataset.keys) == [("one", 902_000_000), ("one", 904_000_000)]
    assert dataset.without_persons == 1
    assert dataset.persons[FrameKey("one", 904_000_000)].scores.tolist() == [0.5]  # the best, below the threshold
    capped = scored_part(files | {"person_threshold": 0.0, "max_persons": 2})
    assert len(capped.persons[capped.keys[0]]) == 2


def test_moments_that_are_annotated_as_empty_are_tested(files: dict[str, Any], tmp_path: Path) -> None:
    with (tmp_path / "val.csv").open("a") as file:
        file.write("one,904\n")
    assert list(scored_part(files).keys) == [("one", 902_000_000), ("one", 904_000_000)]


def test_excluded_moments_take_no_part(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "excluded.csv").write_text("one,0902\nnobody,0902\n")
    files["val"]["excluded"] = files["train"]["excluded"] = str(tmp_path / "excluded.csv")
    assert list(training_part(files).keys) == [("one", 903_000_000), ("two", 902_000_000)]
    dataset = scored_part(files, moments="all")
    assert list(dataset.keys) == [("one", 904_000_000)]
    assert dataset.excluded == {("one", 902_000_000), ("nobody", 902_000_000)}


def test_without_proposals_testing_takes_the_true_boxes(files: dict[str, Any]) -> None:
    files["val"]["proposals"] = None
    dataset = scored_part(files)
    assert list(dataset.keys) == [("one", 902_000_000), ("one", 903_000_000), ("two", 902_000_000)]
    assert len(dataset.persons[dataset.keys[0]]) == 2
    assert dataset.persons[dataset.keys[0]].scores.tolist() == [1.0, 1.0]


def test_the_training_part_can_be_tested(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("one,903,0,0,1,1,1\n")
    files["train"]["proposals"] = None
    assert list(scored_part(files, split="train").keys) == [("one", 903_000_000)]


# ---------------------------------------------------------------- AVA-Kinetics

KINETICS = "abc_45-7_1x_000012_000017"


def test_kinetics_clips_begin_at_their_own_second_and_find_proposals_by_their_bare_id(
    files: dict[str, Any], tmp_path: Path, films: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{KINETICS}.mp4").symlink_to(films / "one.mp4")
    (tmp_path / "videos" / "_3_456_7891.mp4").symlink_to(films / "one.mp4")  # an AVA id, though it looks like a clip
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text(f"{KINETICS},14,0.1,0.1,0.4,0.8,4\n_3_456_7891,902.5,0,0,1,1,9\n")
    write_proposals(tmp_path / "val.pkl", [boxes("abc_45-7_1x", 14, (0.1, 0.1, 0.3, 0.3, 0.95))])
    files |= {"videos": str(tmp_path / "videos")}
    dataset = scored_part(files, kind=AvaKineticsConfig)
    assert list(dataset.keys) == [(KINETICS, 14_000_000)]
    assert stamps(clip(dataset, (KINETICS, 14)))[2] == 60
    files["val"]["proposals"] = None
    sample = scored_part(files, kind=AvaKineticsConfig)[Draw(0, 1)]
    assert isinstance(sample, ClipSample)
    assert stamps(sample)[2] == 75


# ---------------------------------------------------------------- faults


def complaint(files: dict[str, Any], **how: Any) -> str:
    with pytest.raises(InputError) as training_fault:
        training_part(files, **how)
    return str(training_fault.value)


def test_missing_videos_are_told_at_once_when_the_set_is_built(files: dict[str, Any], tmp_path: Path) -> None:
    rows = "".join(f"gone{number},902,0,0,1,1,1\n" for number in range(9))
    (tmp_path / "train.csv").write_text(TRAIN + rows)
    (tmp_path / "val.csv").write_text(rows)
    assert "9 of 11 videos are missing: gone0, gone1, gone2, gone3, gone4, ... (9 in all);" in complaint(files)
    assert complaint(files).endswith("or set data.unreadable=skip to leave them out")
    files |= {"unreadable": "skip"}
    dataset = training_part(files)
    assert len(dataset) == 3
    assert dataset.missing == tuple(f"gone{number}" for number in range(9))
    files["val"]["proposals"] = None
    with pytest.raises(InputError, match="9 of 9 videos are missing"):
        scored_part(files)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("one,902,0,0,1,1,10,0", "line 6: action 10 is not in the action list"),
        ("one,902,0,0,1,1,2,0", "line 6: action 2 is not in the action list"),  # a hole of the list
        ("one,902,0,0,1.2,1,1,0", "line 6: the box leaves the frame; expected unit boxes, 0 to 1"),
        ("one,902,-0.2,0,1,1,1,0", "line 6: the box leaves the frame"),
        ("one,902,0,0,1,x,1,0", "line 6: "),
    ],
)
def test_faulty_annotations_are_told_with_file_and_line(
    files: dict[str, Any], tmp_path: Path, row: str, expected: str
) -> None:
    (tmp_path / "train.csv").write_text(TRAIN + row + "\n")
    assert complaint(files).startswith(f"{tmp_path}/train.csv, {expected}")
    (tmp_path / "val.csv").write_text(TRAIN + row + "\n")
    with pytest.raises(InputError, match=r"val\.csv, line 6"):
        scored_part(files)


def test_corners_just_over_the_border_are_rounding(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("one,902,-0.001,0,1.001,1,1,0\n")
    files["train"]["proposals"] = None
    assert clip(training_part(files), ("one", 902)).boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]


def test_the_model_must_have_the_columns_of_the_list(files: dict[str, Any]) -> None:
    message = complaint(files, num_actions=8)
    assert message.startswith("model.num_actions is 8, but the largest id of ")
    assert "is 9; set model.num_actions=9" in message


def test_scored_actions_must_be_in_the_list_of_all(files: dict[str, Any], tmp_path: Path) -> None:
    write_action_list(tmp_path / "some.pbtxt", ActionList((4, 7), ("wave", "fly"), (None,) * 2))
    with pytest.raises(InputError, match=r"some.pbtxt: scores the ids 7, which .*all.pbtxt \(data.actions\) lacks"):
        scored_part(files)


def test_proposals_of_nothing_are_refused(files: dict[str, Any], tmp_path: Path) -> None:
    write_proposals(tmp_path / "train.pkl", [])
    assert complaint(files).startswith(f"{tmp_path}/train.pkl: holds no person boxes")
    write_proposals(tmp_path / "train.pkl", [boxes("other", 902, (0.0, 0.0, 1.0, 1.0, 1.0))])
    assert "has boxes for none of the 3 key frames, such as 'one' at 902 s" in complaint(files)
    write_proposals(tmp_path / "train.pkl", [boxes("one", 902, (0.0, 0.0, 1.5, 1.0, 1.0))])
    assert "a box of 'one' at 902 s leaves the frame" in complaint(files)


def test_a_part_without_moments_is_refused(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "excluded.csv").write_text("one,902\none,903\ntwo,902\n")
    files["train"]["excluded"] = str(tmp_path / "excluded.csv")
    assert f"train.csv: no key frame is left without those of {tmp_path}/excluded.csv" in complaint(files)


def test_a_truncated_video_is_unreadable(files: dict[str, Any], tmp_path: Path, films: Path) -> None:
    (tmp_path / "videos").mkdir()
    whole = (films / "one.mp4").read_bytes()
    (tmp_path / "videos" / "one.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "videos" / "two.mkv").symlink_to(films / "two.mkv")
    dataset = training_part(files | {"videos": str(tmp_path / "videos")})
    faults = [sample for index in range(3) if isinstance(sample := dataset[Draw(0, index)], Unreadable)]
    assert [fault.key.video for fault in faults] == ["one", "one"]
    assert str(tmp_path / "videos" / "one.mp4") in faults[0].message


# ---------------------------------------------------------------- tracks


def test_persons_are_followed_through_the_moments_around(files: dict[str, Any], tmp_path: Path) -> None:
    rows = [
        f"one,{902 + s:04d},{0.1 + 0.1 * s:.2f},0.2,{0.3 + 0.1 * s:.2f},0.8,4,{person}"
        for s, person in ((0, 0), (1, 0))
    ]
    (tmp_path / "train.csv").write_text("\n".join(rows))
    (tmp_path / "val.csv").write_text("\n".join(rows))
    # Found, though not annotated: the moment before, and half a second after.
    moving = [boxes("one", 902 + s, (0.1 + 0.1 * s, 0.2, 0.3 + 0.1 * s, 0.8, 0.95)) for s in (-1, 0, 0.5, 1)]
    for split in ("train", "val"):
        write_proposals(tmp_path / f"{split}.pkl", moving)
    how = {
        "clip": ClipConfig(frames=4, stride=15, frame_jitter=False),
        "transform": AS_IS,
        "num_actions": 9,
        "tracks": True,
    }
    seconds = np.array([-1.0, -0.5, 0.0, 0.5])
    expected = 0.1 + 0.1 * seconds
    test = clip(build_test_set(AvaConfig(**files), **how), ("one", 902))
    assert test.boxes.shape == (1, 4, 4)
    np.testing.assert_allclose(test.boxes[0, :, 0].numpy() / WIDTH, expected, atol=1e-6)
    train = clip(build_training_set(AvaConfig(**files), seed=0, **how), ("one", 902))
    assert train.boxes.shape == (2, 4, 4)
    assert train.labels is not None
    assert train.labels.shape == (2, 9)
    np.testing.assert_allclose(train.boxes[:, :, 0].numpy() / WIDTH, np.stack([expected] * 2), atol=1e-6)


def test_without_proposals_persons_are_followed_through_the_truth(files: dict[str, Any], tmp_path: Path) -> None:
    text = "one,0902,0.1,0.2,0.3,0.8,4,0\none,0903,0.2,0.2,0.4,0.8,4,0\n"
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text(text)
        files[split]["proposals"] = None
    how = {
        "clip": ClipConfig(frames=2, stride=15, frame_jitter=False),
        "transform": AS_IS,
        "num_actions": 9,
        "tracks": True,
    }
    for dataset in (build_test_set(AvaConfig(**files), **how), build_training_set(AvaConfig(**files), seed=0, **how)):
        np.testing.assert_allclose(clip(dataset, ("one", 903)).boxes[0, :, 0].numpy() / WIDTH, [0.15, 0.2], atol=1e-6)
