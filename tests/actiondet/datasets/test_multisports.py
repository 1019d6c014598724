from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actiondet.config.data_sets import MultiSportsConfig
from actiondet.config.schema import ClipConfig, TransformConfig
from actiondet.data import Draw, EvaluationSet, TrainingSet, Unreadable, build_test_set, build_training_set
from actiondet.engine.detection.testing import evaluate
from actiondet.records import ClipSample
from actiondet.video.windows import frame_time
from evaluation.errors import InputError
from evaluation.formats.multisports import write_multisports
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import ActionDetections, FrameKey, PersonBoxes
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet
from tests.stamped_videos import HEIGHT, WIDTH, read_stamp, write_stamped

AS_IS = TransformConfig(
    train_short_side=(HEIGHT, HEIGHT), train_crop=(HEIGHT, WIDTH), flip=0.0, test_short_side=HEIGHT, min_visible=0.0
)
CLIP = ClipConfig(frames=4, stride=16, clip_fps=None)
ONE, TWO, THREE = "judo/one", "judo/two", "judo/three"
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def truth_of(*tubes: tuple[str, int, int, int, tuple[float, ...]], frames: dict[str, int]) -> TubeTruth:
    """Tubes (video, label, first frame, length, unit box); ONE and TWO train, THREE is tested."""
    names = (ONE, TWO, THREE)
    lengths = [length for _, _, _, length, _ in tubes]
    return TubeTruth(
        labels=("throw", "hold", "fall"),
        unscored=frozenset(),
        train_videos=(ONE, TWO),
        test_videos=(THREE,),
        frame_counts=frames,
        sizes=dict.fromkeys(names, (HEIGHT, WIDTH)),
        tubes=TubeSet(
            videos=names,
            video=np.array([names.index(video) for video, *_ in tubes]),
            labels=np.array([label for _, label, *_ in tubes]),
            scores=np.ones(len(tubes)),
            offsets=np.cumsum([0, *lengths]),
            moments=np.concatenate([np.arange(first, first + length) for _, _, first, length, _ in tubes]),
            boxes=np.concatenate(
                [np.tile(np.array(box) * (WIDTH, HEIGHT, WIDTH, HEIGHT), (length, 1)) for *_, length, box in tubes]
            ),
            box_scores=np.ones(sum(lengths)),
        ),
    )


def persons(video: str, frame: int, *rows: tuple[float, ...]) -> PersonBoxes:
    array = np.array(rows, dtype=np.float32).reshape(-1, 5)
    return PersonBoxes(FrameKey(video, frame * 1_000_000), array[:, :4], array[:, 4])


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    (folder / "judo").mkdir()
    for name, frames in ((ONE, 100), (TWO, 40), (THREE, 60)):
        write_stamped(folder / f"{name}.mp4", frames, rate=Fraction(25))
    return folder


@pytest.fixture
def files(tmp_path: Path, films: Path) -> dict[str, Any]:
    """Settings of a small whole data set; tests write other files over its own."""
    truth = truth_of(
        (ONE, 0, 50, 3, LEFT),
        (ONE, 2, 51, 2, LEFT),  # the same person does two things
        (ONE, 1, 51, 1, RIGHT),
        (TWO, 1, 20, 2, RIGHT),
        (THREE, 0, 30, 4, LEFT),
        frames={ONE: 100, TWO: 40, THREE: 60},
    )
    write_multisports(tmp_path / "GT.pkl", truth)
    almost = (0.01, 0.0, 0.5, 1.0)
    write_proposals(tmp_path / "train.pkl", [persons(f"{ONE}.mp4", 51, (*almost, 0.95), (0.4, 0.4, 0.6, 0.6, 0.99))])
    write_proposals(
        tmp_path / "val.pkl",
        [persons("three", frame, (*almost, 0.95), (*RIGHT, 0.91), (*RIGHT, 0.1)) for frame in (1, 30, 31, 33, 60)],
    )
    splits = {
        split: {"truth": str(tmp_path / "GT.pkl"), "proposals": str(tmp_path / f"{split}.pkl")}
        for split in ("train", "val")
    }
    return {"videos": str(films), **splits}


def training_part(files: dict[str, Any], num_actions: int = 3, clip: ClipConfig = CLIP) -> TrainingSet:
    return build_training_set(MultiSportsConfig(**files), clip=clip, transform=AS_IS, num_actions=num_actions, seed=0)


def scored_part(files: dict[str, Any], **how: Any) -> EvaluationSet:
    return build_test_set(MultiSportsConfig(**files), clip=CLIP, transform=AS_IS, num_actions=3, **how)


def sample(dataset: TrainingSet | EvaluationSet, index: int, epoch: int = 0) -> ClipSample:
    found = dataset[Draw(epoch, index)]
    assert isinstance(found, ClipSample), found
    return found


def stamps(clip: ClipSample) -> list[int]:
    return [read_stamp(frame) for frame in clip.frames.permute(1, 2, 3, 0).numpy()]


def test_every_annotated_frame_trains_and_frames_count_from_1(files: dict[str, Any]) -> None:
    dataset = training_part(files, clip=CLIP.model_copy(update={"frame_jitter": False}))
    assert list(dataset.keys) == [
        FrameKey(ONE, 50),
        FrameKey(ONE, 51),
        FrameKey(ONE, 52),
        *(FrameKey(TWO, n) for n in (20, 21)),
    ]
    # Frame 50 of the annotation is the picture number 49, counted from 0; element frames // 2 shows it.
    assert stamps(sample(dataset, 0)) == [17, 33, 49, 65]


def test_labels_are_columns_and_tubes_on_one_box_are_one_person(files: dict[str, Any]) -> None:
    clip = sample(training_part(files), 1)
    assert clip.labels is not None
    # The true persons, then the proposal that shows the left one; the one in the middle shows nobody.
    assert clip.labels.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    np.testing.assert_allclose(clip.boxes[2], np.array([0.01, 0, 0.5, 1]) * (WIDTH, HEIGHT, WIDTH, HEIGHT), rtol=1e-5)


def test_an_epoch_may_take_one_of_some_neighboring_frames(files: dict[str, Any]) -> None:
    dataset = training_part(files | {"train_every": 2})
    assert len(dataset) == 3
    drawn = [{sample(dataset, index, epoch).key.moment for epoch in range(12)} for index in range(3)]
    assert drawn == [{50, 51}, {52, 20}, {21}]
    assert sample(dataset, 0, 4).key == sample(dataset, 0, 4).key


def walker(frame: int) -> tuple[float, ...]:
    return (0.005 * frame, 0.2, 0.005 * frame + 0.3, 0.8)


def test_a_clip_has_the_box_of_each_of_its_frames_where_tracks_are_asked_for(
    files: dict[str, Any], tmp_path: Path
) -> None:
    # Annotated in frames 40 to 60, found in frames 30 to 80: before and after he stands still.
    truth = truth_of((ONE, 0, 40, 1, walker(40)), (THREE, 0, 1, 1, LEFT), frames={ONE: 100, TWO: 40, THREE: 60})
    steps = np.array([walker(frame) for frame in range(40, 61)]) * (WIDTH, HEIGHT, WIDTH, HEIGHT)
    write_multisports(tmp_path / "GT.pkl", truth)
    content = pickle.loads((tmp_path / "GT.pkl").read_bytes())
    content["gttubes"][ONE] = {0: [np.column_stack([np.arange(40, 61), steps]).astype(np.float32)]}
    (tmp_path / "GT.pkl").write_bytes(pickle.dumps(content, 4))
    write_proposals(tmp_path / "train.pkl", [persons(ONE, n, (*walker(n), 0.95)) for n in range(30, 81)])
    still = CLIP.model_copy(update={"frame_jitter": False})
    how = {"clip": still, "num_actions": 3, "seed": 0, "tracks": True}
    dataset = build_training_set(MultiSportsConfig(**files), transform=AS_IS, **how)
    for index in (0, 10, 20):  # frames 40, 50, 60
        clip = sample(dataset, index)
        shown = np.array(stamps(clip)) + 1
        assert clip.boxes.shape == (2, 4, 4)  # the annotated one, and the found one that shows him
        expected = 0.005 * shown.clip(30, 80)
        np.testing.assert_allclose(clip.boxes[:, :, 0].numpy() / WIDTH, np.stack([expected] * 2), atol=1e-3)
    # A mirror image and a window move every frame's box with its picture; where the window lies is drawn.
    mirror = AS_IS.model_copy(update={"flip": 1.0, "train_crop": (HEIGHT, WIDTH // 2)})
    boxes = sample(build_training_set(MultiSportsConfig(**files), transform=mirror, **how), 10).boxes[0].numpy()
    walked = WIDTH * 0.005 * np.array([30, 34, 50, 66])
    for corner, whole in ((2, WIDTH - walked), (0, WIDTH - walked - 0.3 * WIDTH)):
        inside = (boxes[:, corner] > 0) & (boxes[:, corner] < WIDTH // 2)
        shifts = (whole - boxes[:, corner])[inside]
        assert len(shifts) >= 2
        np.testing.assert_allclose(shifts, shifts[0], atol=1e-2)


def test_annotated_frames_are_validated_and_all_frames_with_persons_on_demand(files: dict[str, Any]) -> None:
    dataset = scored_part(files)
    assert [key.moment for key in dataset.keys] == [30, 31, 33]
    assert dataset.without_persons == 1  # frame 32 has no proposals
    assert len(dataset.persons[FrameKey(THREE, 30)]) == 2  # the third scores below 0.9
    assert [key.moment for key in scored_part(files, moments="all").keys] == [1, 30, 31, 33, 60]


def test_validation_may_take_every_nth_frame_and_then_knows_the_truth_of_these_alone(files: dict[str, Any]) -> None:
    dataset = scored_part(files | {"val_every": 3})
    assert [key.moment for key in dataset.keys] == [30, 33]
    assert dataset.truth.tubes.moments.tolist() == [30, 33]  # type: ignore[union-attr]


def test_without_proposals_the_annotated_persons_are_scored(files: dict[str, Any]) -> None:
    files["val"]["proposals"] = None
    assert [key.moment for key in scored_part(files).keys] == [30, 31, 32, 33]


def test_the_network_must_have_the_labels_of_the_truth(files: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"num_actions is 4, but .*GT.pkl has 3 labels; set model.num_actions=3"):
        training_part(files, num_actions=4)


@pytest.mark.parametrize("csv", [False, True])
def test_chosen_and_merged_labels_train_and_are_scored_by_their_own_numbers(
    files: dict[str, Any], tmp_path: Path, csv: bool
) -> None:
    names: dict[str, Any] = {"classes": ["fall", "grip"], "merge_classes": {"grip": ["throw", "hold"]}}
    if csv:
        names = {"classes": [2, "grip"], "merge_classes": {"grip": [0, 1]}}
        rows = [f"{ONE}.mp4,51,0,0,0.5,1,{label},0" for label in (0, 2)] + [f"{ONE}.mp4,51,0.5,0,1,1,1,0"]
        (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
        files["train"]["truth"] = str(tmp_path / "train.csv")
    chosen = files | names
    dataset = training_part(chosen, num_actions=2)
    assert dataset.actions.ids == (0, 2)
    assert dataset.actions.names[0] == "grip"
    index = list(dataset.keys).index(FrameKey(ONE, 51))
    labels = sample(dataset, index).labels
    assert labels is not None
    assert labels[:2].tolist() == [[1, 1], [1, 0]]
    if csv:
        return
    data = MultiSportsConfig(**{**chosen, "classes": ["fall", "throw"], "merge_classes": None})
    scored = build_test_set(data, clip=CLIP, transform=AS_IS, num_actions=2)
    box, score = np.array([LEFT], dtype=np.float32), np.ones(1, dtype=np.float32)
    found = [
        ActionDetections(FrameKey(THREE, frame), box, score, np.array([[0.9, 0.1]], dtype=np.float32))
        for frame in range(30, 34)
    ]
    result = evaluate(found, scored)
    assert result.mean_ap == 1
    assert isinstance(scored.truth, TubeTruth)
    assert scored.truth.unscored == {1}
    with pytest.raises(InputError, match=r"num_actions is 3, but data.classes and .* leave 2 labels .*num_actions=2"):
        training_part(chosen, num_actions=3)


def test_the_csv_form_trains_the_same(files: dict[str, Any], tmp_path: Path) -> None:
    rows = [f"{ONE}.mp4,{frame},0,0,0.5,1,0,0" for frame in (50, 51, 52)]
    rows += [f"{ONE}.mp4,{frame},0,0,0.5,1,2,0" for frame in (51, 52)] + [f"{ONE}.mp4,51,0.5,0,1,1,1,0"]
    rows += [f"{TWO}.mp4,{frame},0.5,0,1,1,1,0" for frame in (20, 21)]
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    plain = training_part(files)
    files["train"]["truth"] = str(tmp_path / "train.csv")
    table = training_part(files)
    assert list(table.keys) == list(plain.keys)
    for index in range(len(plain)):
        ours, theirs = sample(table, index), sample(plain, index)
        assert ours.labels is not None
        assert theirs.labels is not None
        assert ours.labels.tolist() == theirs.labels.tolist()
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-3)


def test_a_missing_video_stops_training_unless_it_may_be_left_out(files: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "some" / "judo").mkdir(parents=True)
    (tmp_path / "some" / f"{TWO}.mp4").symlink_to(Path(files["videos"]) / f"{TWO}.mp4")
    files |= {"videos": str(tmp_path / "some")}
    with pytest.raises(InputError, match=r"1 of 2 videos are missing: judo/one; .*data.unreadable=skip"):
        training_part(files)
    dataset = training_part(files | {"unreadable": "skip"})
    assert dataset.missing == (ONE,)
    assert {key.video for key in dataset.keys} == {TWO}


def test_frames_beyond_the_end_take_the_last_one_up_to_a_second(files: dict[str, Any], tmp_path: Path) -> None:
    write_multisports(
        tmp_path / "GT.pkl",
        truth_of((TWO, 1, 39, 30, RIGHT), (THREE, 0, 1, 1, LEFT), frames={ONE: 100, TWO: 70, THREE: 60}),
    )
    files["train"]["proposals"] = None
    dataset = training_part(files, clip=CLIP.model_copy(update={"frame_jitter": False}))
    assert stamps(sample(dataset, 10)) == [7, 23, 39, 39]
    fault = dataset[Draw(0, 29)]
    assert isinstance(fault, Unreadable)
    assert "its key frame 68 lies 2.680 s after the beginning of the file, which lasts 1.560 s" in fault.message


def test_what_is_odd_in_the_files_is_counted(files: dict[str, Any], tmp_path: Path) -> None:
    write_multisports(
        tmp_path / "GT.pkl",
        truth_of((ONE, 0, 50, 2, (-0.2, 0, 0.5, 1)), (THREE, 0, 1, 1, LEFT), frames={ONE: 100, TWO: 40, THREE: 60}),
    )
    write_proposals(tmp_path / "train.pkl", [persons(ONE, 50, (-0.1, 0, 0.5, 1, 0.99)), persons("judo/other", 1)])
    dataset = training_part(files)
    assert [note.partition(": ")[2] for note in dataset.notes] == [
        "boxes that reach beyond the frame: 2; their inner part is used",
        "videos that are not in this split: 1, such as 'judo/other'; left out",
        "boxes that reach beyond the frame: 1; their inner part is used",
    ]
    assert sample(dataset, 0).boxes.min() >= 0


@pytest.mark.parametrize(("number", "expected"), [(1, 0), (3, 80_000), (4, 120_000), (6, 200_000), (0, -40_000)])
def test_frames_beyond_a_video_have_the_time_they_would_have(number: int, expected: int) -> None:
    assert frame_time(np.array([0, 40_000, 80_000, 120_000]), number) == expected
