from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from data_tools.output_folder import alone_in
from data_tools.toy.actions import EVALUATED, SPORTS, TRAINED, labels_of
from data_tools.toy.ava_files import pretend_to_detect, write_ava
from data_tools.toy.films import Film, Order, make_film, plan
from data_tools.toy.making import make
from data_tools.toy.motions import MOMENT, Motion, Stretch, perform, random_stretch
from data_tools.toy.people import joints, random_look
from data_tools.toy.render import SEEN, Stage
from data_tools.toy.scenes import RATE, Actor, Scene, relate
from data_tools.toy.sizes import SIZES
from evaluation.errors import InputError
from evaluation.files import load_pickle
from evaluation.formats.action_list import read_action_list
from evaluation.formats.ava import read_ava_csv, read_excluded
from evaluation.formats.multisports import read_multisports
from evaluation.formats.person_boxes import read_proposals


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    make(folder, seed=3, size="tiny", processes=1)
    return folder


def annotation_files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".mp4", ".avi"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def still(activity: str = "stand", direction: int = 0, arms: str = "down", speed: float = 0.7) -> Stretch:
    return Stretch(activity, arms, direction, speed, 1.0, (0.3, 0.3, 0.3), 0.0, 1.5)  # type: ignore[arg-type]


def person(number: int = 0, x: float = 0.6, height: float = 0.5, ground: float = 0.85) -> Actor:
    return Actor(number, random_look(np.random.default_rng(number)), height, ground, x, 0)


def scene_of(*actors: Actor, seconds: int = 1) -> Scene:
    for actor in actors:
        actor.stretches.extend([still()] * (seconds + 1))
        actor.positions.extend([actor.start] * (seconds + 1))
    return Scene(seconds, 4 / 3, list(actors), [{}] * (seconds + 1), frozenset())


# What is made


def test_the_same_seed_gives_the_same_set_whatever_the_number_of_processes(toy: Path, tmp_path: Path) -> None:
    make(tmp_path, seed=3, size="tiny", processes=2)
    assert annotation_files(tmp_path) == annotation_files(toy)
    pictures = [decode(folder / "videos" / "toy_train_000.mp4").astype(int) for folder in (toy, tmp_path)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 1, "encoders may differ by a shade, scenes may not"


STOPPED = """
import multiprocessing, os, sys
from evaluation.progress import ProgressBar
from data_tools.toy.__main__ import main
from evaluation.command_line import run_tool

whom, number = sys.argv.pop(), int(sys.argv.pop())

def advance(self, **_):
    print(*(each.pid for each in multiprocessing.active_children()), flush=True)
    (os.killpg if whom == "group" else os.kill)(os.getpid(), number)

ProgressBar.advance = advance
run_tool(main)
"""


@pytest.mark.parametrize("whom", ["group", "parent"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_processes_and_leaves_nothing_unfinished(
    tmp_path: Path, number: signal.Signals, whom: str
) -> None:
    options = ["--out", str(tmp_path), "--size", "tiny", "--parts", "detection", "--processes", "2"]
    stopped = subprocess.run(
        [sys.executable, "-c", STOPPED, *options, str(int(number)), whom],
        capture_output=True,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal's
    )
    assert (stopped.returncode, stopped.stderr) == (128 + number, f"-c: stopped by {number.name}\n")
    workers = [int(each) for each in stopped.stdout.split()]
    assert len(workers) == 2
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(names) in (1, 2)
    assert all(name.startswith("toy_") for name in names)
    for name in names:
        decode(tmp_path / "videos" / name)


def test_a_second_run_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(InputError, match="another run is writing to this folder"):
        make(tmp_path, seed=0, size="tiny", processes=1)


def test_another_seed_gives_another_set() -> None:
    orders = [SIZES["tiny"].orders(seed)[0] for seed in (1, 2)]
    assert plan(orders[0])[0].actors[0].start != plan(orders[1])[0].actors[0].start


def test_every_evaluated_action_of_the_small_set_is_frequent_enough_to_be_judged() -> None:
    counts = {"train": Counter[int](), "val": Counter[int]()}
    for order in SIZES["small"].orders(0):
        scene, _ = plan(order)
        for actor in scene.actors:
            places = [actor.start, *actor.positions]
            last = actor.first + len(actor.stretches)
            for second in range(max(2, actor.first), min(order.seconds, last)):
                number = second - actor.first
                middle = (places[number] + places[number + 1]) / 2
                if 0 < middle < scene.aspect:
                    relation = scene.relations[second].get(actor.person)
                    counts[order.split].update(labels_of(actor.stretches[number], relation))
    assert min(counts["val"][label] for label in EVALUATED.ids) >= 25
    assert min(counts["train"][label] for label in EVALUATED.ids) >= 90


def test_in_multisports_form_people_go_on_for_two_seconds() -> None:
    order = SIZES["small"].tube_orders(0)[0]
    film = Stage(*plan(order), *order.size)
    for track in film.tracks:
        changes = np.flatnonzero(np.diff(track.stretch) > 0) + 1
        # Slots end after odd seconds, a few frames early or late.
        assert (np.abs((changes - RATE) - np.round((changes - RATE) / (2 * RATE)) * 2 * RATE) <= 2).all()
    assert any((np.diff(track.stretch) > 0).any() for track in film.tracks)


def test_who_walks_for_longer_walks_as_far() -> None:
    orders = [replace(SIZES["small"].orders(0)[0], slot=slot, seconds=20 * slot) for slot in (1, 2)]
    speeds, steps = [], []
    for scene in (plan(order)[0] for order in orders):
        walks = [(actor, each) for actor in scene.actors for each in actor.stretches if each.activity == "walk"]
        speeds.append(np.mean([each.speed for _, each in walks]))
        steps.append(np.mean([abs(actor.step(each)) / actor.height for actor, each in walks]))
    assert speeds[1] == pytest.approx(speeds[0] / 2, rel=0.1)
    assert steps[1] == pytest.approx(steps[0], rel=0.1)


def test_videos_are_closed_gop_h264_that_a_browser_plays_while_it_loads(toy: Path) -> None:
    path = toy / "videos" / "toy_val_000.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.average_rate, stream.frames) == (30, 4 * RATE)
        assert (stream.width, stream.height) == SIZES["tiny"].poster
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"--out .*file.*cannot write there"):
        make(tmp_path / "file", seed=0, size="tiny", processes=1)
    command = [sys.executable, "-m", "data_tools.toy", "--size", "tiny", "--out", str(tmp_path / "file")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1


def test_a_part_of_the_set_can_be_made_alone(tmp_path: Path) -> None:
    assert make(tmp_path, seed=0, size="tiny", processes=1, parts=("recognition",)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kinetics", "ucf101"]
    train, val = ((tmp_path / "kinetics" / f"{split}.txt").read_text().count("\n") for split in ("train", "val"))
    assert (train, val) == SIZES["tiny"].count_clips() == (9, 9)


# AVA


def test_ava_rows_look_like_those_of_version_2_2(toy: Path) -> None:
    row = re.compile(r"toy_(train|val)_\d{3},090\d(,[01]\.\d{3}){4},\d+,\d+")
    for split in ("train", "val"):
        lines = (toy / "ava" / f"ava_{split}.csv").read_bytes().decode("ascii").split("\n")
        assert lines.pop() == ""
        assert lines
        assert all(row.fullmatch(line) for line in lines), lines
        assert all(f"toy_{split}" in line for line in lines)
        times = {line.split(",")[1] for line in lines}
        assert times <= {"0902", "0903"}


def test_action_lists_have_the_two_real_layouts_and_the_evaluated_one_is_narrower(toy: Path) -> None:
    trained = (toy / "ava" / "action_list.pbtxt").read_text()
    assert trained.startswith('label {\n  name: "stand"\n  label_id: 1\n  label_type: PERSON_MOVEMENT\n}\nlabel {\n')
    evaluated = (toy / "ava" / "action_list_eval.pbtxt").read_text()
    assert evaluated.startswith('item {\n  name: "stand"\n  id: 1\n}\nitem {\n')
    ids, scored = (read_action_list(toy / "ava" / name).ids for name in ("action_list.pbtxt", "action_list_eval.pbtxt"))
    assert set(scored) < set(ids)
    assert max(ids) > len(ids), "the ids have holes"


def test_truth_exclusions_and_proposals_agree_on_the_moments(toy: Path) -> None:
    for split in ("train", "val"):
        truth = read_ava_csv(toy / "ava" / f"ava_{split}.csv")
        excluded = read_excluded(toy / "ava" / f"ava_{split}_excluded_timestamps.csv")
        proposals = read_proposals(toy / "ava" / f"dense_proposals_{split}.pkl")
        annotated = set(zip(truth.video, truth.moment.tolist(), strict=True))
        assert not annotated & {tuple(key) for key in excluded}
        assert annotated | {tuple(key) for key in excluded} <= {tuple(key) for key in proposals}
        assert set(truth.labels) <= set(TRAINED.ids)
        assert ((truth.boxes >= 0) & (truth.boxes <= 1)).all()
        assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()


def test_proposal_pickles_have_the_keys_and_arrays_of_the_published_ones(toy: Path) -> None:
    content = load_pickle(toy / "ava" / "dense_proposals_val.pkl")
    assert list(content) == ["toy_val_000,0902", "toy_val_000,0903"]
    for rows in content.values():
        assert rows.dtype == np.float64
        assert rows.shape[1] == 5


def test_the_pretended_detector_misses_invents_and_shifts_as_often_as_it_should() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([[0.1, 0.2, 0.3, 0.8]])
    boxes, scores = zip(*(pretend_to_detect(rng, truth) for _ in range(4000)), strict=True)
    joined, confidence = np.concatenate(boxes), np.concatenate(scores)
    near = np.abs(joined - truth).max(axis=1) < 0.07
    assert near.sum() / 4000 == pytest.approx(0.95, abs=0.03)
    assert (~near).sum() / 4000 == pytest.approx(0.30, abs=0.03)
    assert (joined[near] - truth).std(axis=0) == pytest.approx(0.05 * np.array([0.2, 0.6, 0.2, 0.6]), rel=0.1)
    assert (confidence[near] > 0.9).mean() > 0.9
    assert 0.02 < (confidence[~near] > 0.9).mean() < 0.3
    assert all((np.diff(column) <= 0).all() for column in scores)


# MultiSports


def test_multisports_tubes_are_unbroken_and_inside_their_videos(toy: Path) -> None:
    raw = load_pickle(toy / "multisports" / "multisports_GT.pkl")
    assert list(raw) == ["labels", "train_videos", "test_videos", "nframes", "resolution", "gttubes"]
    truth = read_multisports(toy / "multisports" / "multisports_GT.pkl")
    assert truth.labels == tuple(f"street {name}" for name in SPORTS.names)
    assert not set(truth.train_videos) & set(truth.test_videos)
    for video, by_label in raw["gttubes"].items():
        height, width = raw["resolution"][video]
        path = toy / "multisports" / "trimmed_videos" / f"{video}.mp4"
        assert decode(path).shape == (raw["nframes"][video], height, width, 3)
        for tube in (tube for tubes in by_label.values() for tube in tubes):
            assert tube.dtype == np.float32
            assert tube[0, 0] >= 1
            assert tube[-1, 0] <= raw["nframes"][video]
            assert (np.diff(tube[:, 0]) == 1).all()
            assert (tube[:, 1:] <= (width, height, width, height)).all()


def test_multisports_tables_and_proposals_say_the_same_as_the_tubes(toy: Path) -> None:
    raw = load_pickle(toy / "multisports" / "multisports_GT.pkl")
    rows = [line.split(",") for line in (toy / "multisports" / "multisports_val.csv").read_text().splitlines()]
    boxes = sum(
        len(tube) for video in raw["test_videos"][0] for tubes in raw["gttubes"][video].values() for tube in tubes
    )
    assert len(rows) == boxes
    name, frame, *box, label, number = rows[len(rows) // 2]
    video = name.removesuffix(".mp4")
    tube = raw["gttubes"][video][int(label)][int(number)]
    height, width = raw["resolution"][video]
    expected = tube[tube[:, 0] == int(frame), 1:][0] / np.tile([width, height], 2)
    assert np.array(box, float) == pytest.approx(expected, abs=6e-4)
    official = load_pickle(toy / "multisports" / "person_boxes" / "val.pkl")
    converted = load_pickle(toy / "multisports" / "multisports_dense_proposals_val.pkl")
    assert next(iter(official)) == "v_toyval000_c001,0001"
    assert next(iter(converted)) == "street/v_toyval000_c001.mp4,0001"
    assert len(official) == len(converted) == sum(raw["nframes"][video] for video in raw["test_videos"][0])


# Kinetics and UCF101


def test_kinetics_lists_name_videos_that_exist_and_labels_that_have_names(toy: Path) -> None:
    names = (toy / "kinetics" / "label_map.txt").read_text().split()
    assert names == [name.replace(" ", "_") for name in EVALUATED.names]
    for split in ("train", "val"):
        lines = (toy / "kinetics" / f"{split}.txt").read_text().splitlines()
        frames = (toy / "kinetics" / f"{split}_frames.txt").read_text().splitlines()
        for line, folder in zip(lines, frames, strict=True):
            path, label = line.split()
            assert path.split("/")[1] == names[int(label)]
            assert (toy / "kinetics" / path).is_file()
            assert folder == f"{path.removesuffix('.mp4')} 60 {label}"


def test_ucf101_has_its_folders_and_split_files(toy: Path) -> None:
    splits = toy / "ucf101" / "ucfTrainTestlist"
    classes = dict(line.split()[::-1] for line in (splits / "classInd.txt").read_text().splitlines())
    assert classes["WalkLeft"] == "2"
    train = [line.split() for line in (splits / "trainlist01.txt").read_text().splitlines()]
    test = (splits / "testlist01.txt").read_text().splitlines()
    assert all(classes[path.split("/")[0]] == number for path, number in train)
    assert all(re.fullmatch(r"(\w+)/v_\1_g\d\d_c\d\d\.avi", path) for path in [*test, *(path for path, _ in train)])
    assert decode(toy / "ucf101" / "UCF-101" / test[0]).shape == (60, 120, 160, 3)


# Scenes, people, pictures


@pytest.mark.parametrize(
    ("gap", "theirs", "height", "expected"),
    [
        (0.8, still(), 0.5, "approach"),
        (-0.8, still(), 0.5, None),
        (1.7, still(), 0.5, None),
        (0.25, still(), 0.5, "doubtful"),
        (0.8, still(), 0.6 * 0.5, None),
        (0.8, still("walk", 1), 0.5, "follow"),
        (-0.8, still("walk", 1), 0.5, None),
        (0.8, still("walk", -1), 0.5, "doubtful"),
    ],
)
def test_who_approaches_or_follows_whom_is_a_matter_of_geometry(
    gap: float, theirs: Stretch, height: float, expected: str | None
) -> None:
    goer, other = person(0, x=0.6), person(1, height=height)
    ours = still("walk", 1)
    # The gap counts in heights of the one who goes, in the middle of the second.
    other.start = goer.x + goer.step(ours) / 2 - other.step(theirs) / 2 + gap * goer.height
    assert relate([goer, other], [ours, theirs], aspect=4.0).get(0) == expected


def test_people_do_several_things_at_once() -> None:
    assert labels_of(still("walk", -1, "wave"), "follow") == [3, 11, 14]
    assert labels_of(still("stand"), None) == [1]


def test_walking_left_shows_the_poses_of_walking_right_in_reverse_order() -> None:
    right, left = Motion.at_rest(61), Motion.at_rest(61)
    perform(right, still("walk", 1), 0, 61, RATE)
    cycle = 2 * np.pi * 60 / RATE
    back = Stretch("walk", "down", -1, 0.7, 1.0, (0.3, 0.3, -(0.3 + cycle)), 0.0, 1.5)
    perform(left, back, 0, 61, RATE)
    assert joints(left)[::-1] == pytest.approx(joints(right), abs=1e-9)


def test_limbs_keep_their_length_in_every_pose() -> None:
    rng = np.random.default_rng(0)
    for activity in ("stand", "crouch", "jump", "spin", "stay_low"):
        motion = Motion.at_rest(60)
        perform(motion, random_stretch(rng, activity, 0), 0, 60, RATE)
        place = joints(motion)
        for upper, middle, lower in ((9, 11, 13), (10, 12, 14)):
            thigh = np.linalg.norm(place[:, upper] - place[:, middle], axis=1)
            shin = np.linalg.norm(place[:, lower] - place[:, middle], axis=1)
            assert max(thigh.max(), shin.max()) < 0.26


def test_a_box_is_where_the_picture_shows_the_person() -> None:
    with_person = Stage(scene_of(person()), np.random.default_rng(5), 160, 120)
    without = Stage(scene_of(), np.random.default_rng(5), 160, 120)
    first, empty = next(iter(with_person)).astype(int), next(iter(without)).astype(int)
    changed = np.abs(first - empty).max(axis=2) > 60
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    expected = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / [160, 120, 160, 120]
    assert with_person.tracks[0].boxes[0] == pytest.approx(expected, abs=0.03)


def test_a_picture_that_is_held_stays_and_so_do_its_boxes() -> None:
    frames, boxes = [], []
    for hold in (1, 4):
        stage = Stage(scene_of(person()), np.random.default_rng(5), 160, 120, hold=hold)
        frames.append(list(stage))
        boxes.append(stage.tracks[0].boxes)
    shown = np.arange(len(frames[0])) // 4 * 4
    assert all(np.array_equal(frames[1][frame], frames[0][drawn]) for frame, drawn in enumerate(shown))
    assert np.array_equal(boxes[1], boxes[0][shown])


def test_what_is_hidden_or_outside_is_not_in_the_box() -> None:
    rng = np.random.default_rng(6)
    front, behind, leaving = person(0, ground=0.95, height=0.8), person(1, ground=0.7, height=0.4), person(2, x=-0.1)
    stage = Stage(scene_of(front, behind, leaving), rng, 160, 120)
    next(iter(stage))
    seen = {track.actor.person: track.seen[0] for track in stage.tracks}
    assert seen[0] > 0.8
    assert seen[1] < SEEN
    assert seen[2] < SEEN


# People on skates


@pytest.fixture(scope="module")
def skaters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Film, Path]:
    folder = tmp_path_factory.mktemp("skaters")
    film = make_film(Order("fast", "val", (4,), 4, (320, 120), kind="skaters"), folder / "videos")
    write_ava(folder / "ava", [film], seed=0)
    return film, folder / "ava"


def test_skaters_cross_at_least_their_own_width_within_a_clip(skaters: tuple[Film, Path]) -> None:
    film, _ = skaters
    moved = []
    for place in range(len(film.persons)):
        for key in range(16, film.frames - 12, 3):
            frames = [key - 16, key, key + 12]  # a clip of 8 frames, every 4th
            if (film.seen[place, frames] > 0.95).all():
                boxes = film.boxes[place, frames]
                middles = (boxes[:, 0] + boxes[:, 2]) / 2
                # Arms that are spread for a moment make no one wider.
                width = np.median(film.boxes[place, key - 16 : key + 12, 2] - film.boxes[place, key - 16 : key + 12, 0])
                moved.append(abs(middles[2] - middles[0]) / width)
    assert len(moved) > 10
    assert min(moved) >= 1


def test_a_detector_looks_at_skaters_ten_times_a_second(skaters: tuple[Film, Path]) -> None:
    film, folder = skaters
    found = read_proposals(folder / "dense_proposals_val.pkl")
    assert [key.moment for key in found] == [900_000_000 + 100_000 * look for look in range(10 * 4)]
    assert {int(moment) for moment in read_ava_csv(folder / "ava_val.csv").moment} <= {902_000_000, 903_000_000}
    assert film.does.any(axis=(0, 1)).sum() >= 3


@pytest.mark.parametrize("once", [0.2, 0.5, 0.8])
def test_what_happens_once_takes_a_moment(once: float) -> None:
    time = np.arange(RATE) / RATE
    far = np.abs(time - once) > MOMENT / 2 + 0.01
    for activity, arms in (("jump", "down"), ("crouch", "down"), ("stand", "wave_both")):
        motion, rest = Motion.at_rest(RATE), Motion.at_rest(RATE)
        perform(motion, replace(still(activity, arms=arms), once=once), 0, RATE, RATE)
        perform(rest, replace(still(), once=once), 0, RATE, RATE)
        changes = sum(
            np.abs(getattr(motion, name) - getattr(rest, name)).reshape(RATE, -1).max(axis=1)
            for name in ("lift", "squat", "arms")
        )
        assert changes[far].max() == pytest.approx(0, abs=1e-9)
        assert changes.max() > 0.25


def test_a_quick_spin_ends_as_it_began() -> None:
    motion = Motion.at_rest(RATE)
    perform(motion, replace(still("spin"), once=0.5), 0, RATE, RATE)
    assert motion.yaw[0] == 0
    assert motion.yaw[-1] == pytest.approx(2 * np.pi)
    assert (np.diff(motion.yaw) >= 0).all()
