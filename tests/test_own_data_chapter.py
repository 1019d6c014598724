"""The chapter "Your own data" of data_tools/README.md, run word for word on three small annotated clips."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import numpy as np

from actiondet.config import load_config
from data_tools.toy.films import Film, Order, make_film
from data_tools.toy.render import SEEN
from evaluation.formats.ava import read_ava_csv, read_ava_results
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[1]
SIZE = (160, 120)
CLIPS = {"street": 1, "yard": 2, "hall": 3}
# The toy set's ids of each action that the annotator of these clips has ticked.
TICKED = {"walk": (3, 4), "stand": (1, 5), "wave": (10, 11)}


def commands() -> list[str]:
    """The chapter's shell blocks, in order."""
    chapter = re.sub(
        r"<!-- not run.*?```.*?```",
        "",
        (ROOT / "data_tools/README.md").read_text().split("## Your own data\n")[1].split("\n## ")[0],
        flags=re.DOTALL,
    )
    blocks = re.findall(r"^( *)```bash\n(.*?)^\1```", chapter, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in blocks]


def as_cvat(film: Film) -> str:
    """What CVAT exports for a film: every frame of every track."""
    from data_tools.toy.actions import TRAINED

    width, height = film.order.size
    described = "".join(
        f"<attribute><name>{name}</name><mutable>True</mutable><input_type>checkbox</input_type></attribute>"
        for name in TICKED
    )
    head = (
        f"<version>1.1</version><meta><task><id>1</id><name>{film.order.name}</name><size>{film.frames}</size>"
        f"<mode>interpolation</mode><start_frame>0</start_frame><stop_frame>{film.frames - 1}</stop_frame>"
        f"<labels><label><name>person</name><attributes>{described}</attributes></label></labels><original_size><width>{width}</width>"
        f"<height>{height}</height></original_size><source>{film.order.name}.mp4</source></task></meta>"
    )
    tracks = ""
    for place, person in enumerate(film.persons):
        boxes = ""
        for frame, box in enumerate(np.clip(film.boxes[place], 0, 1) * [width, height, width, height]):
            x1, y1, x2, y2 = (f"{value:.2f}" for value in box)
            outside = int(film.seen[place, frame] < SEEN)
            does = {TRAINED.ids[column] for column in np.flatnonzero(film.does[place, frame])}
            ticks = "".join(
                f'<attribute name="{name}">{str(bool(does & set(ids))).lower()}</attribute>'
                for name, ids in TICKED.items()
            )
            boxes += (
                f'<box frame="{frame}" keyframe="{int(frame % 10 == 0)}" outside="{outside}" occluded="0" xtl="{x1}" '
                f'ytl="{y1}" xbr="{x2}" ybr="{y2}" z_order="0">{ticks}</box>'
            )
        tracks += f'<track id="{person}" label="person" source="manual">{boxes}</track>'
    return f"<annotations>{head}{tracks}</annotations>"


def run(block: str, folder: Path) -> str:
    """Run the programs of one block in `folder`, as its user would; returns what they print."""
    said = ""
    for line in block.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        if program == "python":
            program, *words = words[1:] if words[0] == "-m" else [str(ROOT / words[0]), *words[1:]]
        else:
            assert program == "actiondet"
            program = "actiondet.cli"
        ended = run_program(program, *words, cwd=folder)
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
        said += ended.stdout
    return said


def test_the_chapter_leads_from_annotated_clips_to_a_drawn_video(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for name, seed in CLIPS.items():
        film = make_film(Order(name, "train", (seed,), 5, SIZE), tmp_path / "videos")
        (tmp_path / "annotations" / f"{name}.xml").write_text(as_cvat(film))

    convert, check, train = commands()
    assert "set model.num_actions=3 data.start=0" in run(convert, tmp_path)
    parts = [read_ava_csv(tmp_path / "own_data" / f"ava_{part}.csv") for part in ("train", "val")]
    assert [len(set(part.video)) for part in parts] == [2, 1]
    assert all(set(part.labels.tolist()) == {1, 2, 3} for part in parts)
    said = run(check, tmp_path)
    assert "0 errors" in said
    assert (tmp_path / "sheet.png").is_file()
    assert "mAP@0.5" in run(train, tmp_path)
    assert len((tmp_path / "runs" / "own" / "test" / "detections.csv").read_text().splitlines()) > 10
    assert (tmp_path / "drawn.mp4").stat().st_size > 10_000


def as_project(films: list[Film]) -> str:
    """CVAT's export of a project with a task for each film: frames count on from task to task."""
    tasks, tracks, offset = "", "", 0
    for number, film in enumerate(films, start=7):
        head, body = as_cvat(film).removeprefix("<annotations>").removesuffix("</annotations>").split("</meta>")
        tasks += head.split("<meta>")[1].replace("<id>1</id>", f"<id>{number}</id>")
        body = body.replace("<track ", f'<track task_id="{number}" ')
        tracks += re.sub(r'frame="(\d+)" k', lambda found, by=offset: f'frame="{int(found[1]) + by}" k', body)
        offset += film.frames
    head = f"<version>1.1</version><meta><project><tasks>{tasks}</tasks></project></meta>"
    return f"<annotations>{head}{tracks}</annotations>"


def test_a_project_of_films_called_by_numbers_is_converted_trained_on_and_evaluated(tmp_path: Path) -> None:
    films = [
        make_film(Order(f"{number:04d}", "train", (number,), 5, SIZE), tmp_path / "videos") for number in (1, 2, 3)
    ]
    (tmp_path / "project.xml").write_text(as_project(films))
    run(
        "python -m data_tools.convert_annotations project.xml --from cvat --to ava --videos videos --out own_data "
        "--val-videos 0002",
        tmp_path,
    )
    truth = {part: read_ava_csv(tmp_path / "own_data" / f"ava_{part}.csv") for part in ("train", "val")}
    assert {part: set(rows.video) for part, rows in truth.items()} == {"train": {"0001", "0003"}, "val": {"0002"}}
    alone = tmp_path / "alone"
    alone.mkdir()
    for film in films:  # the same as from a task of each film
        (alone / f"{film.order.name}.xml").write_text(as_cvat(film))
    run(
        "python -m data_tools.convert_annotations alone --from cvat --to ava --videos videos --out each "
        "--val-videos 0002",
        tmp_path,
    )
    for part in ("train", "val"):
        name = f"ava_{part}.csv"
        assert (tmp_path / "own_data" / name).read_text() == (tmp_path / "each" / name).read_text()
    small = "model.backbone.depth=18 model.backbone.width=16 train.epochs=1"
    run(f"python tools/train_det.py own/slowonly {small} --out runs/own", tmp_path)
    run("python tools/test_det.py runs/own/config.yaml --weights runs/own/best.pt --out runs/own/test", tmp_path)
    found = read_ava_results(tmp_path / "runs" / "own" / "test" / "detections.csv")
    assert set(found.video) == {"0002"}
    said = run(
        "python tools/eval_ava.py --detections runs/own/test/detections.csv --truth own_data/ava_val.csv "
        "--labels own_data/action_list.pbtxt",
        tmp_path,
    )
    assert "mAP@0.5" in said


def test_the_chapter_copies_a_configuration_of_three_actions() -> None:
    for name in ("slowonly", "slowfast"):
        config = load_config(ROOT / "configs" / "own" / f"{name}.yaml")
        assert config.model.num_actions == 3
        assert config.model.backbone.name == name
        assert json.loads(config.data.model_dump_json())["start"] == 0
        assert config.published.pretraining is not None


def test_every_line_of_the_configurations_is_explained_where_it_is_not_plain() -> None:
    for name in ("slowonly", "slowfast"):
        lines = (ROOT / "configs" / "own" / f"{name}.yaml").read_text().splitlines()
        values = [line for line in lines if re.match(r"\s+\w+: \S", line)]
        explained = [line for line in values if "#" in line]
        assert len(explained) > 0.6 * len(values)


def test_the_networks_are_those_whose_published_weights_they_start_from() -> None:
    for name in ("slowonly", "slowfast"):
        own = load_config(ROOT / "configs" / "own" / f"{name}.yaml")
        zoo = load_config(ROOT / "configs" / "ava21" / f"{name}_r50_4x16_k400.yaml")
        assert own.model == zoo.model.model_copy(update={"num_actions": 3})
        assert own.clip.model_copy(update={"frame_jitter": zoo.clip.frame_jitter}) == zoo.clip
        assert own.published.pretraining == zoo.published.pretraining
