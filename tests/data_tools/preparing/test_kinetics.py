"""Kinetics: the table, the names of the clips, the lists that training reads."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import pytest

from actiondet.config.recognition import VideoListConfig
from actiondet.datasets.video_lists import list_videos
from actiondet.video import open_video
from data_tools import prepare_kinetics
from data_tools.preparing.kinetics import choose_classes, plan_clips, write_lists
from data_tools.preparing.prepare import prepare
from evaluation.errors import InputError
from evaluation.formats.kinetics_table import is_kinetics_table, read_kinetics_table

HEADING = "label,youtube_id,time_start,time_end,split"


def table(folder: Path, *rows: str, heading: str = HEADING) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([heading, *rows]) + "\n")
    return path


def test_clips_are_what_training_reads(tmp_path: Path, stamped: ModuleType) -> None:
    videos = tmp_path / "videos"
    (videos / "some" / "where").mkdir(parents=True)
    stamped.write_stamped(videos / "some" / "abcdefghijk.mkv", 120, rate=Fraction(30))
    stamped.write_stamped(videos / "some" / "where" / "-_cdefghijk_000007_000009.mp4", 60, rate=Fraction(30))
    path = table(
        tmp_path,
        "zumba,abcdefghijk,1,3,train",
        "eating cake (big),-_cdefghijk,7,9,validate",
        "zumba,missingmissi,7,9,train",
        ",abcdefghijk,0,2,test",
    )
    rows = read_kinetics_table(path)
    out = tmp_path / "out"
    summary = prepare(
        out, plan_clips(rows, videos, out=out, short_side=32, already_cut=False), processes=1, title="clips"
    )
    assert (summary.exit_code(), summary.exit_code(allow_missing=True)) == (1, 0)
    write_lists(out, rows, summary.ready, choose_classes(rows, None, out / "classes.txt"))
    config = VideoListConfig(
        videos=str(out), train=str(out / "train.txt"), val=str(out / "val.txt"), classes=str(out / "classes.txt")
    )
    train, val = list_videos(config, "train"), list_videos(config, "val")
    assert train.classes == ("eating cake (big)", "zumba")
    assert (train.names, train.labels.tolist()) == (("train/zumba/abcdefghijk_000001_000003.mp4",), [1])
    assert (val.names, val.labels.tolist()) == (("val/eating_cake_(big)/-_cdefghijk_000007_000009.mp4",), [0])
    with open_video(out / train.names[0]) as reader:
        assert (len(reader.index), reader.index.width, reader.index.height) == (60, 48, 32)
    with open_video(out / val.names[0]) as reader:
        assert len(reader.index) == 60


def test_outputs_below_the_folder_of_the_sources_are_no_sources(tmp_path: Path, stamped: ModuleType) -> None:
    for name in ("abc.mkv", "def_000000_000001.mp4"):
        stamped.write_stamped(tmp_path / name, 60, rate=Fraction(30))
    rows = read_kinetics_table(table(tmp_path, "b,abc,0,1,train", "a,def,0,1,val"))
    states = []
    for _ in range(2):
        jobs = plan_clips(rows, tmp_path, out=tmp_path / "out", short_side=32, already_cut=False)
        assert [Path(str(job.source)).parent for job in jobs] == [tmp_path, tmp_path]
        states += [outcome.state for outcome in prepare(tmp_path / "out", jobs, processes=1, title="clips").outcomes]
    assert states == ["made", "made", "kept", "kept"]


def test_the_command_line_says_how_far_apart_keyframes_lie(
    tmp_path: Path, stamped: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "videos").mkdir()
    stamped.write_stamped(tmp_path / "videos/abc_000000_000002.mp4", 60, rate=Fraction(30), options={"g": "60"})
    given = table(tmp_path, "b,abc,0,2,train")
    out = tmp_path / "out"
    command = ["prepare", "--videos", str(tmp_path / "videos"), "--annotations", str(given), "--out", str(out)]
    keys = []
    for more in ([], ["--recode"], ["--recode", "--gop", "5"], ["--recode", "--gop", "5"]):
        monkeypatch.setattr("sys.argv", [*command, "--processes", "1", *more])
        assert prepare_kinetics.main() == 0
        with av.open(str(out / "train/b/abc_000000_000002.mp4")) as container:
            keys.append(sum(frame.key_frame for frame in container.decode(video=0)))
    assert keys[0] == 1, "linked"
    assert keys[1] >= 4
    assert keys[2] == keys[3] >= 12


def test_a_clip_for_a_whole_video_is_not_guessed_at(tmp_path: Path, stamped: ModuleType) -> None:
    (tmp_path / "videos").mkdir()
    stamped.write_stamped(tmp_path / "videos" / "abcdefghijk.mp4", 60, rate=Fraction(30))
    rows = read_kinetics_table(table(tmp_path, "zumba,abcdefghijk,1,5,train"))
    refused = prepare(
        tmp_path / "out",
        plan_clips(rows, tmp_path / "videos", out=tmp_path / "out", short_side=None, already_cut=False),
        processes=1,
        title="clips",
    )
    assert "lasts 2.00 s, its piece begins at 1 s, expected at least 3 s more; is it cut already" in str(refused)
    jobs = plan_clips(rows, tmp_path / "videos", out=tmp_path / "out", short_side=None, already_cut=True)
    assert prepare(tmp_path / "out", jobs, processes=1, title="clips").outcomes[0].frames == 60


@pytest.mark.parametrize(
    ("row", "heading", "message"),
    [
        ("zumba,abc,1,3,train", "label,youtube_id,start,end,split", "has no column time_start, time_end"),
        ("zumba,abc,1,x,train", HEADING, r"line 2: 'zumba,abc,1,x,train' is not a clip"),
        ("zumba,abc,3,1,train", HEADING, "start before end"),
        ("zumba,abc,1,3,dev", HEADING, "split train, validate or test"),
        ("zumba,abc", HEADING, "is not a clip"),
    ],
)
def test_a_faulty_table_is_named_with_its_line(tmp_path: Path, row: str, heading: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_kinetics_table(table(tmp_path, row, heading=heading))


def test_an_archive_in_place_of_the_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kinetics700_2020.tar.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00 packed \xff\xfe")
    assert not is_kinetics_table(path)
    with pytest.raises(
        InputError, match=r"2020\.tar\.gz: not a text file in UTF-8; if it is an archive, give what is in"
    ):
        read_kinetics_table(path)
    with pytest.raises(InputError, match="not a text file"):
        choose_classes([], path, tmp_path / "classes.txt")


def test_a_second_table_must_know_the_same_classes(tmp_path: Path) -> None:
    rows = read_kinetics_table(table(tmp_path, "b,x,1,3,train", "a,y,1,3,train"))
    classes = tmp_path / "classes.txt"
    assert choose_classes(rows, None, classes) == ("a", "b")
    classes.write_text("b\na\nc\n")
    assert choose_classes(rows, None, classes) == ("b", "a", "c")
    classes.write_text("b\nc\n")
    with pytest.raises(InputError, match=r"does not name the class 'a'.*give all tables at once"):
        choose_classes(rows, None, classes)


def test_two_files_or_two_rows_for_one_clip_are_refused(tmp_path: Path, stamped: ModuleType) -> None:
    rows = read_kinetics_table(table(tmp_path, "b,abc,1,3,train", "a,abc,1,3,val"))
    stamped.write_stamped(tmp_path / "abc.mp4", 2)
    jobs = plan_clips([rows[0], rows[0]], tmp_path, out=tmp_path / "out", short_side=None, already_cut=False)
    with pytest.raises(InputError, match="would be made twice"):
        prepare(tmp_path / "out", jobs, processes=1, title="clips")
    stamped.write_stamped(tmp_path / "abc.mkv", 2)
    with pytest.raises(InputError, match=r"abc\.mkv and .*abc\.mp4 have the same name"):
        plan_clips(rows, tmp_path, out=tmp_path / "out", short_side=None, already_cut=False)
