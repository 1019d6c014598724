"""Training, testing, re-scoring and predicting from end to end on films of a moving square."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.frame import PictureType

from actiondet.config import load_recognition_config
from actiondet.data.build import build_train_videos
from actiondet.datasets.labeled_videos import find_labeled_videos
from actiondet.engine.action_names import named_actions
from actiondet.video import VideoWriter
from evaluation.errors import InputError
from evaluation.formats.video_scores import read_video_scores
from tests.programs import die_at_first_part, run_copies

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs/toy/recognition_slowonly.yaml")
CLASSES = ("left", "right", "still")


def write_film(path: Path, label: int, *, frames: int = 12, seed: int = 0) -> None:
    """A square that goes left, goes right or stays."""
    random = np.random.default_rng(seed)
    start, top = int(random.integers(12, 20)), int(random.integers(4, 20))
    with VideoWriter(path, rate=Fraction(10), width=48, height=32, sound_of=None) as writer:
        for number in range(frames):
            picture = np.full((32, 48, 3), 40, dtype=np.uint8)
            left = start + (-1, 1, 0)[label] * number
            picture[top : top + 8, left : left + 8] = 220
            writer.write(picture)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for part, count in (("train", 2), ("val", 1)):
        lines = []
        for label, name in enumerate(CLASSES):
            for number in range(count):
                path = f"{part}/{name}{number}.mp4"
                (folder / part).mkdir(exist_ok=True)
                write_film(folder / path, label, seed=10 * label + number + (100 if part == "val" else 0))
                lines.append(f"{path} {label}")
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def settings(films: Path, *more: str) -> list[str]:
    return [
        "model.backbone.width=4",
        "model.num_classes=3",
        "clip={frames: 4, stride: 2}",
        "transform={train_short_side: [32, 32], train_crop: 32, test_short_side: 32, val_crop: 32}",
        "test={clips: 2, crops: 3, crop: 32}",
        "train={epochs: 1, batch: 3, workers: 0, base_batch: 3, schedule: {policy: constant, warmup_epochs: 0}}",
        f"data.videos={films}",
        f"data.train={films / 'train.txt'}",
        f"data.val={films / 'val.txt'}",
        f"data.classes={films / 'classes.txt'}",
        *more,
    ]


@pytest.fixture(scope="module")
def trained(run_tool: Callable[..., int], films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    assert run_tool("train_rec.py", CONFIG, *settings(films), "--out", str(out)) == 0
    return out


def test_a_run_keeps_its_top_1_and_its_class_names(trained: Path) -> None:
    from actiondet.config import RecognitionConfig
    from actiondet.engine.checkpoint import load_checkpoint

    best = load_checkpoint(trained / "best.pt", RecognitionConfig)
    assert best.actions.names == CLASSES
    assert best.score is not None
    assert "top_1" in (trained / "log.csv").read_text()
    with pytest.raises(InputError, match=r"expected detection, found recognition.*predict\.py"):
        load_checkpoint(trained / "best.pt")


@pytest.mark.parametrize("sampling", ["mmaction2", "pyslowfast"])
def test_a_dump_scores_again_to_the_same_numbers(
    sampling: str, films: Path, trained: Path, tmp_path: Path, run_tool: Callable[..., int]
) -> None:
    weights = ["--weights", str(trained / "best.pt"), "--dump", str(tmp_path / "d.pkl")]
    arguments = [CONFIG, *settings(films, f"clip.sampling={sampling}"), *weights, "--json", str(tmp_path / "a.json")]
    assert run_tool("test_rec.py", *arguments) == 0
    assert run_tool("eval_rec.py", str(tmp_path / "d.pkl"), "--json", str(tmp_path / "b.json")) == 0
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert {key: first[key] for key in second} == second
    assert first["views"] == [2, 3]
    dump = read_video_scores(tmp_path / "d.pkl")
    assert dump.scores.sum(axis=1) == pytest.approx([1.0] * 3)


def test_sums_and_means_of_probabilities_rank_alike_and_logits_are_another_score(
    films: Path, trained: Path, tmp_path: Path, run_tool: Callable[..., int]
) -> None:
    scores = {}
    for average in ("softmax", "sum", "logits"):
        arguments = [*settings(films, f"test.average={average}"), "--weights", str(trained / "best.pt")]
        path = tmp_path / f"{average}.pkl"
        assert run_tool("test_rec.py", CONFIG, *arguments, "--views", "1x3", "--dump", str(path)) == 0
        scores[average] = read_video_scores(path).scores
    assert scores["sum"] == pytest.approx(3 * scores["softmax"])
    assert not np.allclose(scores["logits"].sum(axis=1), 1)


def test_predict_names_every_video_of_a_folder_and_counts_what_it_cannot_read(
    films: Path,
    trained: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    write_film(tmp_path / "in/one.mp4", 0, frames=1)
    write_film(tmp_path / "in/three.mp4", 1, frames=3)
    (tmp_path / "in/none.mp4").write_bytes(b"")
    (tmp_path / "in/._one.mp4").write_bytes(b"of macOS")
    weights = ["--weights", str(trained / "best.pt"), "--top", "2", "--json", str(tmp_path / "p.json")]
    assert run_tool("predict.py", "--input", str(tmp_path / "in"), *weights, "--views", "2x3") == 0
    said = capsys.readouterr()
    assert "1 of 3 videos could not be read" in said.err
    assert "none.mp4" in said.err
    found = json.loads((tmp_path / "p.json").read_text())
    assert sorted(Path(path).name for path in found) == ["one.mp4", "three.mp4"]
    assert all(len(best) == 2 and best[0]["class"] in CLASSES for best in found.values())
    assert run_tool("predict.py", "--input", str(tmp_path / "in/none.mp4"), *weights) == 2


def test_predict_reads_films_of_browsers_and_takes_a_reader(
    trained: Path, tmp_path: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Browsers write no duration, without which decord opens nothing."""
    write_film(tmp_path / "a.mp4", 0)
    live = {"format": "webm", "options": {"live": "1"}}
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.webm"), "w", **live) as target:
        stream = target.add_stream("libvpx-vp9", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for frame in source.decode(video=0):
            frame.pict_type = PictureType.NONE
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    arguments = ["--input", str(tmp_path), "--weights", str(trained / "best.pt"), "--json", str(tmp_path / "p.json")]
    for reader in ([], ["--reader", "pyav"]):
        assert run_tool("predict.py", *arguments, *reader) == 0
        assert "could not be read" not in capsys.readouterr().err
        found = json.loads((tmp_path / "p.json").read_text())
        assert sorted(Path(path).name for path in found) == ["a.mp4", "b.webm"]
    pytest.importorskip("decord", reason="it has no wheel here")
    only = ["--input", str(tmp_path / "b.webm"), *arguments[2:], "--reader", "decord"]
    assert run_tool("predict.py", *only) == 2
    assert "states no duration" in capsys.readouterr().err


def test_predict_takes_the_names_of_our_checkpoint_whatever_configuration_is_given(
    films: Path, trained: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    config = (trained / "config.yaml").read_text().replace(str(films / "classes.txt"), "gone.txt")
    (trained / "elsewhere.yaml").write_text(config)
    given = ["--config", str(trained / "elsewhere.yaml"), "--weights", str(trained / "best.pt"), "--top", "3"]
    assert run_tool("predict.py", "--input", str(films / "val/left0.mp4"), *given) == 0
    said = capsys.readouterr()
    assert all(name in said.out for name in CLASSES)
    assert "by number" not in said.err


def test_predict_in_bfloat16_says_nearly_the_same(
    films: Path, trained: Path, tmp_path: Path, run_tool: Callable[..., int]
) -> None:
    scores = []
    for precision in ("float32", "bfloat16"):
        path = tmp_path / f"{precision}.json"
        weights = ["--weights", str(trained / "best.pt"), "--json", str(path), "--precision", precision]
        assert run_tool("predict.py", "--input", str(films / "val/left0.mp4"), *weights) == 0
        (best,) = json.loads(path.read_text()).values()
        scores.append({each["class"]: each["score"] for each in best})
    assert scores[0] != scores[1]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_reported_in_one_sentence(
    films: Path, trained: Path, run_tool: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--input", str(films / "val/left0.mp4"), "--weights", str(trained / "best.pt"), "--device", "cuda"]
    assert run_tool("predict.py", *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("predict.py: --device cuda: torch cannot use it (")
    assert "\n" not in error


def a_label_out_of_range(films: Path) -> list[str]:
    (films / "bad.txt").write_text("train/left0.mp4 0\ntrain/left1.mp4 3\n")
    return [f"data.train={films / 'bad.txt'}"]


def a_class_file_of_another_length(films: Path) -> list[str]:
    (films / "two.txt").write_text("left\nright\n")
    return [f"data.classes={films / 'two.txt'}"]


def a_missing_video(films: Path) -> list[str]:
    (films / "bad.txt").write_text("train/left0.mp4 0\ntrain/nowhere.mp4 1\n")
    return [f"data.train={films / 'bad.txt'}"]


def the_other_task(_films: Path) -> list[str]:
    return ["task=detection"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (a_label_out_of_range, ["bad.txt, line 2", "label 3", "0 to 2"]),
        (a_class_file_of_another_length, ["two.txt has 2 classes", "model.num_classes=2"]),
        (a_missing_video, ["1 of 2 videos are missing: train/nowhere", "data.unreadable=skip"]),
        (the_other_task, ["expected recognition, found detection"]),
    ],
)
def test_bad_lists_are_one_clear_message(
    damage: Callable[[Path], list[str]],
    words: list[str],
    films: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [CONFIG, *settings(films, *damage(films)), "--out", str(tmp_path / "run")]
    assert run_tool("train_rec.py", *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert [word for word in words if word not in error] == [], error


def test_missing_videos_can_be_left_out_and_are_counted(films: Path) -> None:
    config = load_recognition_config(CONFIG, settings(films, *a_missing_video(films), "data.unreadable=skip"))
    videos = find_labeled_videos(config.data, "train", num_classes=3)
    assert (videos.names, videos.missing) == (("train/left0.mp4",), ("train/nowhere.mp4",))


def test_ucf101_is_read_in_both_layouts(films: Path, tmp_path: Path) -> None:
    for layout in ("UCF-101", "UCF101/training", "UCF101/validation"):
        for name in ("Archery", "Biking"):
            (tmp_path / layout / name).mkdir(parents=True)
            (tmp_path / layout / name / f"v_{name}_g01_c01.mp4").symlink_to(films / "train/left0.mp4")
    splits = tmp_path / "splits"
    splits.mkdir()
    (splits / "classInd.txt").write_text("1 Archery\n2 Biking\n")
    (splits / "testlist01.txt").write_text("Biking/v_Biking_g01_c01.avi\n")
    (splits / "trainlist01.txt").write_text("Biking/v_Biking_g01_c01.avi 2\nArchery/v_Archery_g01_c01.avi 1\n")
    common = [*settings(films)[:6], "model.num_classes=2", "data={name: ucf101}"]
    official = [f"data.videos={tmp_path / 'UCF-101'}", f"data.splits={splits}"]
    for where, labels in ((official, [1, 0]), ([f"data.videos={tmp_path / 'UCF101'}"], [0, 1])):
        config = load_recognition_config(CONFIG, [*common, *where])
        videos = build_train_videos(
            config.data, clip=config.clip, transform=config.transform, num_classes=2, seed=0
        ).videos
        assert videos.labels.tolist() == labels
        assert videos.classes == ("Archery", "Biking")
        assert named_actions(config).names == ("Archery", "Biking")


def test_ucf101_may_lie_in_folders_of_pictures_in_the_layout_of_folders(films: Path, tmp_path: Path) -> None:
    for part in ("training", "validation"):
        for name in ("Archery", "Biking"):
            (tmp_path / part / name / f"v_{name}_g01_c01").mkdir(parents=True)
    common = [*settings(films)[:6], "model.num_classes=2", f"data={{name: ucf101, videos: {tmp_path}, pictures: {{}}}}"]
    videos = find_labeled_videos(load_recognition_config(CONFIG, common).data, "train", num_classes=2)
    assert videos.names == ("training/Archery/v_Archery_g01_c01", "training/Biking/v_Biking_g01_c01")


def test_folders_of_pictures_may_be_called_like_the_files_they_are_of(films: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "list.txt").write_text("a.mp4 100 0\nb.mp4 50 1\n")
    where = [f"data.videos={tmp_path}", f"data.train={tmp_path / 'list.txt'}", "data.pictures={}"]
    config = load_recognition_config(CONFIG, [*settings(films), *where])
    assert find_labeled_videos(config.data, "train", num_classes=3).names == ("a.mp4", "b.mp4")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.window=3", "larger than the map of the smallest crop, 2x2; set model.window=null"),
        ("clip={frames: 4, sampling: uniform, train_strides: [1, 2]}", "set train_strides=null"),
    ],
)
def test_settings_without_a_meaning_are_refused(films: Path, setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recognition_config(CONFIG, [*settings(films), "model.backbone.res5_stride=1", setting])


def test_a_killed_test_goes_on_and_ends_with_the_same_numbers(
    films: Path,
    trained: Path,
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [CONFIG, *settings(films), "test.batch=1", "--weights", str(trained / "best.pt")]
    assert run_tool("test_rec.py", *arguments, "--dump", str(tmp_path / "whole.pkl")) == 0
    whole = capsys.readouterr().out
    again = [*arguments, "--dump", str(tmp_path / "killed.pkl")]
    done = run_copies(ROOT / "tools/test_rec.py", *again, before=die_at_first_part)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder,) = tmp_path.glob("killed.pkl.*.parts")
    assert [path.name for path in folder.iterdir()] == ["000000.npz"]

    # Another number of clips is another test: it neither takes the parts nor removes them.
    assert run_tool("test_rec.py", *again, "--views", "1x3") == 0
    assert "going on" not in capsys.readouterr().out
    assert run_tool("test_rec.py", *again, "data.unreadable=skip") == 0
    said = capsys.readouterr().out
    assert "going on with an interrupted test: 2 of 6 clips are done" in said
    assert said.splitlines()[-5:] == whole.splitlines()[-5:]
    assert (tmp_path / "killed.pkl").read_bytes() == (tmp_path / "whole.pkl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.pkl", "whole.pkl"]


@pytest.mark.slow
def test_two_processes_score_as_one_and_one_takes_over_from_two_that_were_killed(
    films: Path, trained: Path, tmp_path: Path
) -> None:
    for dump, processes, killed in [
        ("one", 1, False),
        ("two", 2, False),
        ("taken_over", 2, True),
        ("taken_over", 1, False),
    ]:
        arguments = [CONFIG, *settings(films), "test.batch=1", "--weights", trained / "best.pt"]
        arguments += ["--dump", tmp_path / f"{dump}.pkl"]
        before = die_at_first_part if killed else None
        done = run_copies(ROOT / "tools/test_rec.py", *arguments, processes=processes, before=before)
        assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr
    assert "going on with an interrupted test" in done.stdout
    scores = [read_video_scores(tmp_path / f"{dump}.pkl") for dump in ("one", "two", "taken_over")]
    assert scores[0].videos == scores[1].videos == scores[2].videos
    assert np.array_equal(scores[0].scores, scores[1].scores)
    assert np.array_equal(scores[0].scores, scores[2].scores)
