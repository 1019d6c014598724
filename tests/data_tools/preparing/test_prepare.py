"""Many videos: killed and taken up again, a full disk, a damaged video, a folder that cannot be written to."""

from __future__ import annotations

import csv
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import pytest

from data_tools.preparing.cut import Cut
from data_tools.preparing.given import lay_files
from data_tools.preparing.jobs import Outcome
from data_tools.preparing.journal import Journal
from data_tools.preparing.prepare import prepare
from data_tools.preparing.sources import find_by_stem
from evaluation.errors import InputError
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, stamped: ModuleType) -> Path:
    """Forty seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    options = {"preset": "ultrafast", "g": "50"}
    written: Path = stamped.write_stamped(path, 40 * 25, size=(192, 128), rate=Fraction(25), options=options)
    return written


def make_set(folder: Path, film: Path, clips: int, *, seconds: int = 4) -> Path:
    """Whole videos of which a table asks for clips; every clip shows other numbers."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    rows = ["label,youtube_id,time_start,time_end,split"]
    for number in range(clips):
        name = f"toy{number:08d}"
        os.link(film, videos / f"{name}.mp4")
        start = number % (40 - seconds)
        rows.append(f"label {number % 3},{name},{start},{start + seconds},{'val' if number % 5 == 0 else 'train'}")
    (folder / "all.csv").write_text("\n".join(rows) + "\n")
    return folder


def words(source: Path, out: Path, *more: str) -> list[str]:
    """The arguments of data_tools.prepare_kinetics."""
    return [
        *("--videos", str(source / "videos"), "--annotations", str(source / "all.csv")),
        *("--out", str(out), "--short-side", "64", *more),
    ]


def command(source: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "data_tools.prepare_kinetics", *words(source, out, *more)]


def run(arguments: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Start a process, of which something else than its arguments matters."""
    return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=False, **options)  # type: ignore[call-overload, no-any-return]


def run_here(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return run_program("data_tools.prepare_kinetics", *arguments, cwd=ROOT)


def decoded(folder: Path) -> dict[str, str]:
    """What every file of a folder holds: the decoded pictures of videos, the bytes of all others."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest = hashlib.sha256()
            if path.suffix == ".mp4":
                with av.open(str(path)) as container:
                    for frame in container.decode(video=0):
                        digest.update(frame.to_ndarray().tobytes())
            else:
                digest.update(path.read_bytes())
            found[str(path.relative_to(folder))] = digest.hexdigest()
    return found


def kill_after(arguments: Sequence[str], out: Path, outputs: int) -> None:
    """Start a preparation and kill -9 it as soon as so many outputs are there; wait until its processes are gone."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while _noted(out) < outputs and process.poll() is None:
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    started = [int(number) for number in children.read_text().split()] if children.exists() else []
    assert process.poll() is None, "it was to be killed on the way"
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{number}/cwd").exists() for number in started):  # its processes must die with it
        time.sleep(0.02)


def _noted(out: Path) -> int:
    """How many outputs prepared.csv calls ready."""
    journal = out / "prepared.csv"
    names = (row[0] for row in csv.reader(journal.open()) if row[1:2] == ["ready"]) if journal.exists() else ()
    return len(set(names))


@pytest.mark.parametrize(("clips", "kills"), [(12, (3, 7)), pytest.param(200, (15, 90, 150), marks=pytest.mark.slow)])
def test_killed_and_resumed_is_the_same_as_one_uninterrupted_run(
    tmp_path: Path, film: Path, clips: int, kills: Sequence[int]
) -> None:
    source = make_set(tmp_path / "source", film, clips, seconds=4 if clips < 100 else 2)
    straight = run_here(words(source, tmp_path / "straight", "--processes", "1"))
    assert straight.returncode == 0, straight.stderr
    out = tmp_path / "killed"
    for outputs in kills:
        kill_after(command(source, out, "--processes", "2"), out, outputs)
    # The worst that a kill can leave: a torn row, an unfinished file, and a finished one that was damaged later.
    with (out / "prepared.csv").open("a") as file:
        file.write("train/label_1/toy")
    torn = sorted(out.rglob("[!.]*.mp4"))[0]
    torn.write_bytes(torn.read_bytes()[:2000])
    torn.with_name(f".{torn.stem}.4711.part.mp4").write_bytes(b"begun")
    resumed = run_here(words(source, out, "--processes", "2"))
    assert resumed.returncode == 0, resumed.stderr
    made = int(resumed.stdout.partition(" made now")[0].rpartition("(")[2])
    assert f"{clips} of {clips} are ready" in resumed.stdout
    assert 1 <= made <= clips - kills[-1] + 3, "what is finished is kept"
    assert decoded(out) == decoded(tmp_path / "straight")
    again = run_here(words(source, out, "--processes", "2"))
    assert f"(0 made now, {clips} before)" in again.stdout


def test_another_size_is_not_taken_for_the_finished_one(tmp_path: Path, film: Path) -> None:
    def state(short_side: int, source: Path | None = film) -> str:
        job = Cut(source=source and str(source), name="a/b.mp4", end_us=400_000, short_side=short_side)
        return prepare(tmp_path / "out", [job], processes=1, title="clips").outcomes[0].state

    assert [state(64), state(64), state(32)] == ["made", "kept", "made"]
    # A source may go when its output is there.
    assert [state(32, None), state(64, None)] == ["kept", "missing"]


def test_damaged_and_missing_videos_are_told_and_the_others_go_on(tmp_path: Path, film: Path) -> None:
    source = make_set(tmp_path / "source", film, 6, seconds=1)
    videos = source / "videos"
    for number, content in ((1, b""), (2, b"no video at all " * 99), (3, (videos / "toy00000003.mp4").read_bytes())):
        (videos / f"toy{number:08d}.mp4").unlink()
        (videos / f"toy{number:08d}.mp4").write_bytes(content if number < 3 else content[: len(content) // 2])
    (videos / "toy00000004.mp4").unlink()
    done = run_here(words(source, tmp_path / "out", "--processes", "2"))
    assert done.returncode == 1
    assert "2 of 6 are ready (2 made now), 3 failed, 1 missing" in done.stdout
    for reason in ("is empty (0 bytes)", "is not a video that FFmpeg can read", "its source video was not found"):
        assert reason in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 2
    with (tmp_path / "out" / "prepared.csv").open() as file:
        states = [row["state"] for row in csv.DictReader(file)]
    assert sorted(states) == ["failed"] * 3 + ["missing"] + ["ready"] * 2
    assert (tmp_path / "out" / "val.txt").read_text().count("\n") == 2


def test_paths_that_are_no_text_are_told_in_escapes(tmp_path: Path, film: Path) -> None:
    source = make_set(tmp_path / "source", film, 2, seconds=1)
    strange = os.fsencode(source) + b"/vid\xe9os"
    os.rename(os.fsencode(source / "videos"), strange)
    damaged = Path(os.fsdecode(strange)) / "toy00000001.mp4"
    damaged.unlink()  # a link to the film of all tests
    damaged.touch()
    given = words(source, tmp_path / "out", "--processes", "1")
    place = given.index("--videos") + 1
    done = run_here([*given[:place], os.fsdecode(strange), *given[place + 1 :]])
    assert done.returncode == 1, done.stderr
    assert "vid\\udce9os/toy00000001.mp4: is empty" in done.stdout
    assert "1 of 2 are ready" in done.stdout


def test_a_journal_on_a_full_disk_closes_quietly(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin()
    assert journal._file is not None
    journal._file.close()
    journal._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115
    with pytest.raises(OSError, match="No space left"):
        journal.add(Outcome("a.mp4", "made", "", frames=1))
    journal.close()


def test_a_video_is_found_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all/x.mp4").write_bytes(b"x")
    (tmp_path / "split").mkdir()
    (tmp_path / "split/x.mp4").symlink_to(tmp_path / "all/x.mp4")
    (tmp_path / "all/here").symlink_to(tmp_path / "all")
    (tmp_path / "split/y.mp4").symlink_to(tmp_path / "all/x.mp4")
    assert find_by_stem(tmp_path, ["x", "y"]) == {"x": tmp_path / "all/x.mp4", "y": tmp_path / "split/y.mp4"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x.mp4").write_bytes(b"another x")
    with pytest.raises(InputError, match="have the same name"):
        find_by_stem(tmp_path, ["x"])


def test_half_an_archive_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("a,b\n" * 100_000)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "list.csv", "list.csv")
    content = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"a.tar.gz: is damaged .*; fetch it again"):
        lay_files([tmp_path / "a.tar.gz"], ["list.csv"], tmp_path / "out")
    assert not (tmp_path / "out/list.csv").exists()


_FULL_AFTER_TWO = """
import errno, pathlib, sys
import data_tools.preparing.cut as cut
from data_tools import prepare_kinetics
from evaluation.command_line import run_tool
class Full(cut.VideoWriter):
    def write(self, *arguments):
        if len(list(pathlib.Path(sys.argv[sys.argv.index("--out") + 1]).rglob("[!.]*.mp4"))) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(*arguments)
cut.VideoWriter = Full
run_tool(prepare_kinetics.main)
"""


def test_a_full_disk_stops_the_run_with_one_message_and_it_goes_on_when_there_is_room(
    tmp_path: Path, film: Path
) -> None:
    source = make_set(tmp_path / "source", film, 5, seconds=1)
    arguments = words(source, tmp_path / "out", "--processes", "1")
    full = run([sys.executable, "-c", _FULL_AFTER_TWO, *arguments])
    assert full.returncode == 1, full.stderr
    assert "2 of 5 are ready" in full.stdout
    assert full.stdout.count("No space left on device; make room and run the same command again") == 1
    assert "Traceback" not in full.stderr
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 2, "nothing unfinished is left"
    assert not (tmp_path / "out" / "train.txt").exists()
    assert "(3 made now, 2 before)" in run_here(arguments).stdout


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_file_that_cannot_be_written_to_its_end_never_gets_its_name(
    tmp_path: Path, film: Path, processes: str
) -> None:
    source = make_set(tmp_path / "source", film, 3, seconds=4)
    done = run(
        command(source, tmp_path / "out", "--processes", processes),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "3 failed" in done.stdout
    assert "File too large" in done.stdout
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        "classes.txt",
        "prepared.csv",
        "train.txt",
        "val.txt",
    ]


def test_a_folder_that_cannot_be_written_to_is_named_before_anything_is_done(tmp_path: Path, film: Path) -> None:
    source = make_set(tmp_path / "source", film, 1, seconds=1)
    (tmp_path / "file").write_text("in the way")
    done = run_here(words(source, tmp_path / "file" / "out"))
    assert done.returncode == 2
    assert "cannot write there (Not a directory); name a folder of your own" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_read_only_folder_is_named(tmp_path: Path, film: Path) -> None:
    source = make_set(tmp_path / "source", film, 1, seconds=1)
    (tmp_path / "out").mkdir(mode=0o500)
    arguments = command(source, tmp_path / "out")
    if os.geteuid() == 0:  # who may write everywhere, unless that right is taken away
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere")
        arguments = ["setpriv", "--bounding-set=-dac_override", *arguments]
    done = run(arguments)
    assert (done.returncode, "cannot write there (Permission denied)" in done.stderr) == (2, True)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path, film: Path) -> None:
    import fcntl

    source = make_set(tmp_path / "source", film, 1, seconds=1)
    (tmp_path / "out").mkdir()
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    done = run_here(words(source, tmp_path / "out"))
    os.close(handle)
    assert (done.returncode, "another run is writing to this folder" in done.stderr) == (2, True)
