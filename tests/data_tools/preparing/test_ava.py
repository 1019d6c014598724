"""AVA: minutes 15 to 30 of a film, and its files where the configurations look."""

from __future__ import annotations

import shutil
import zipfile
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actiondet.config import load_config
from actiondet.video import FrameFolder, open_video
from data_tools.preparing.ava import annotation_files, lay_annotations, plan_films
from data_tools.preparing.given import lay_files
from data_tools.preparing.prepare import prepare
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, write_action_list
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[3]
FILM = "abcdefghijk"


def write_annotations(folder: Path, video: str = FILM) -> Path:
    """A set of all official files of version 2.2, with one film."""
    folder.mkdir(parents=True)
    files = annotation_files("2.2")
    actions = ActionList((1, 80), ("bend", "watch"), (None, None))
    for name in (files.actions, files.evaluated):
        write_action_list(folder / name, actions)
    for name in files.truth:
        (folder / name).write_text(f"{video},0902,0.1,0.1,0.5,0.9,80,0\n{video},1798,0.1,0.1,0.5,0.9,1,0\n")
    for name in files.excluded:
        (folder / name).write_text(f"{video},0903\n")
    boxes = PersonBoxes(FrameKey(video, 902_000_000), np.array([[0.1, 0.1, 0.5, 0.9]], np.float32), np.ones(1, "f4"))
    for name in files.proposals:
        write_proposals(folder / name, [boxes])
    return folder


def film(path: Path, stamped: ModuleType, seconds: int, rate: Fraction | int = Fraction(1, 2)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"preset": "ultrafast", "g": "60"}
    written: Path = stamped.write_stamped(path, int(seconds * rate), rate=Fraction(rate), options=options)
    return written


def test_the_program_ends_with_what_the_configuration_reads(tmp_path: Path, stamped: ModuleType) -> None:
    folder = write_annotations(tmp_path / "given" / "ava_v2.2")
    with zipfile.ZipFile(tmp_path / "ava_v2.2.zip", "w") as archive:
        for path in folder.glob("*.*"):
            if path.suffix != ".pkl":
                extra = ".txt" if "activitynet" in path.name else ""
                archive.write(path, f"ava_v2.2/{path.name}{extra}")
    proposals = [str(path) for path in folder.glob("*.pkl")]
    film(tmp_path / "films" / f"{FILM}.mkv", stamped, 1810)
    arguments = [
        *("--videos", str(tmp_path / "films"), "--own-rate"),
        *("--annotations", str(tmp_path / "ava_v2.2.zip"), *proposals, "--out", str(tmp_path / "data/ava")),
    ]
    done = run_program("data_tools.prepare_ava", *arguments, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 are ready" in done.stdout
    assert "not given yet" not in done.stdout
    config = load_config(ROOT / "configs/ava22/slowfast_r50_8x8_k400.yaml", [])
    data = config.data
    for split in (data.train, data.val):
        for name in (split.truth, split.excluded, split.proposals, data.actions, data.evaluated_actions):
            assert (tmp_path / name).is_file(), name
    with open_video(tmp_path / data.videos / f"{FILM}.mp4") as reader:
        shown = [stamped.read_stamp(image) for image in reader.read([0, 1, 449])]
        assert len(reader.index) == 450
    # A frame every two seconds: second 902 of the annotations is second 2 of the file, which begins at second 900.
    assert shown == [450, 451, 899]


@pytest.mark.slow
def test_a_whole_film_has_27030_frames(tmp_path: Path, stamped: ModuleType) -> None:
    film(tmp_path / "films" / f"{FILM}.mp4", stamped, 1805, rate=1)
    jobs = plan_films([FILM], tmp_path / "films", out=tmp_path / "out", pictures=False, own_rate=False, short_side=None)
    assert prepare(tmp_path / "out", jobs, processes=1, title="films").outcomes[0].frames == 27_030
    with open_video(tmp_path / "out" / "videos" / f"{FILM}.mp4") as reader:
        assert (len(reader.index), reader.index.rate) == (27_030, 30)
        assert [stamped.read_stamp(image) for image in reader.read([0, 60, 27_000])] == [900, 902, 1800]


def test_pictures_are_numbered_from_one_at_30_a_second(tmp_path: Path, stamped: ModuleType) -> None:
    film(tmp_path / "films" / f"{FILM}.mp4", stamped, 5, rate=30)
    arguments = {"pictures": True, "own_rate": False, "short_side": None, "seconds": (2, 4)}
    jobs = plan_films([FILM], tmp_path / "films", out=tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert prepare(tmp_path / "out", jobs, processes=1, title="films").outcomes[0].frames == 60
    folder = tmp_path / "out" / "frames" / FILM
    assert (folder / "img_00001.jpg").is_file()
    images = FrameFolder(folder).read(range(60))
    assert [stamped.read_stamp(image) for image in images] == list(range(60, 120))
    again = prepare(tmp_path / "out", jobs, processes=1, title="films")
    assert again.outcomes[0].state == "kept"
    (folder / "img_00030.jpg").unlink()
    assert prepare(tmp_path / "out", jobs, processes=1, title="films").outcomes[0].state == "made"
    assert len(list(folder.iterdir())) == 60
    assert [path.name for path in folder.parent.iterdir()] == [FILM]


def test_pictures_that_find_no_room_leave_nothing(
    tmp_path: Path, stamped: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_some(path: Path, content: bytes) -> int:
        if path.name == "img_00007.jpg":
            raise OSError(28, "No space left on device")
        with path.open("wb") as file:
            return file.write(content)

    film(tmp_path / "films" / f"{FILM}.mp4", stamped, 3, rate=30)
    arguments = {"pictures": True, "own_rate": False, "short_side": None, "seconds": (0, 2)}
    jobs = plan_films([FILM], tmp_path / "films", out=tmp_path / "out", **arguments)  # type: ignore[arg-type]
    monkeypatch.setattr(Path, "write_bytes", write_some)
    summary = prepare(tmp_path / "out", jobs, processes=1, title="films")
    assert (summary.exit_code(), summary.stopped is not None) == (1, True)
    assert f"stopped: {tmp_path}/out/frames/{FILM}: No space left on device; make room and run" in str(summary)
    assert list((tmp_path / "out" / "frames").iterdir()) == []


def test_a_film_that_is_cut_already_is_refused(tmp_path: Path, stamped: ModuleType) -> None:
    film(tmp_path / "films" / f"{FILM}.mp4", stamped, 902)
    jobs = plan_films(
        [FILM, "missing_one"], tmp_path / "films", out=tmp_path / "out", pictures=False, own_rate=True, short_side=None
    )
    summary = prepare(tmp_path / "out", jobs, processes=1, title="films")
    assert [outcome.state for outcome in summary.outcomes] == ["failed", "missing"]
    assert "lasts 902.00 s, its piece begins at 900 s, expected at least 900 s more; is it cut already" in str(summary)


def test_files_that_lack_are_named(tmp_path: Path) -> None:
    folder = write_annotations(tmp_path / "given")
    (folder / "ava_val_excluded_timestamps_v2.2.csv").unlink()
    assert lay_annotations([folder], "2.2", tmp_path / "out") == ["ava_val_excluded_timestamps_v2.2.csv"]
    assert lay_annotations([], "2.2", tmp_path / "out") == ["ava_val_excluded_timestamps_v2.2.csv"]
    with pytest.raises(InputError, match=r"ava_train_v2\.1\.csv and ava_val_v2\.1\.csv lack"):
        lay_annotations([], "2.1", tmp_path / "out")


def test_what_is_given_must_hold_something_that_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(InputError, match=r"a\.csv: holds none of the files that are needed: b\.csv"):
        lay_files([tmp_path / "a.csv"], ["b.csv"], tmp_path / "out")
    with pytest.raises(InputError, match="no such file"):
        lay_files([tmp_path / "no.zip"], ["b.csv"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_boxes_of_pyslowfast_are_known_by_their_folders(tmp_path: Path) -> None:
    folder = write_annotations(tmp_path / "given")
    for number, name in enumerate(annotation_files("2.2").more_boxes):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{FILM},0902,0.1,0.1,0.5,0.9,,0.9{number}\n")
    shutil.make_archive(str(tmp_path / "all"), "gztar", folder)
    assert lay_annotations([tmp_path / "all.tar.gz"], "2.2", tmp_path / "out") == []
    config = load_config(ROOT / "configs/ava22/slowonly_r50_4x16_pyslowfast_k400.yaml", [])
    assert "iou75" in config.data.val.proposals
    for part, number in ((config.data.train, 0), (config.data.val, 2)):
        laid = tmp_path / "out" / Path(part.proposals).relative_to("data/ava/annotations")
        assert laid.read_text().endswith(f"0.9{number}\n")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "all"), "zip", write_annotations(tmp_path / "given"))
    content = bytearray((tmp_path / "all.zip").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "all.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"all\.zip: is damaged"):
        lay_annotations([tmp_path / "all.zip"], "2.2", tmp_path / "out")


def test_a_faulty_annotation_is_named_with_its_line(tmp_path: Path) -> None:
    folder = write_annotations(tmp_path / "given")
    (folder / "ava_val_v2.2.csv").write_text(f"{FILM},0902,0.1,0.1,0.5,0.9,80,0\n{FILM},0902,10,20,50,90,80,0\n")
    with pytest.raises(InputError, match=r"ava_val_v2\.2\.csv, line 2.*looks like pixels"):
        lay_annotations([folder], "2.2", tmp_path / "out")


def test_two_different_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.txt").write_text("the same")
    given = [tmp_path / "a", tmp_path / "b"]
    assert lay_files(given, ["list.txt"], tmp_path / "out") == {"list.txt": tmp_path / "out/list.txt"}
    (tmp_path / "b/list.txt").write_text("another")
    with pytest.raises(InputError, match=r"a and .*b hold different files called list\.txt; give one of them"):
        lay_files(given, ["list.txt"], tmp_path / "out")
