"""Every shell command of every README runs here, or its block says why not, and then its options are parsed.

A page's commands run in this process, in their order, in a folder that holds what the page's reader is said to have.
They run whole, but for the settings of SMALLER, which are added to them, and torchrun, which starts one process here.
A block behind the comment `<!-- not run: REASON -->` needs a download, a GPU or hours: its programs, options,
configurations and settings are read and not used.
"""

from __future__ import annotations

import argparse
import importlib.util
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from actiondet.cli.__main__ import PROGRAMS, main

from actiondet.config.load import load_config_by_task
from actiondet.config.zoo import zoo_names
from data_tools.toy.films import Order, make_film
from evaluation.formats.video_scores import VideoScores, write_video_scores

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("README.md", "CONTRIBUTING.md", "*/README.md", "tests/golden/*/README.md", "configs/*.md")
PAGES = sorted({path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in ROOT.glob(pattern)})
KNOWN = {name for programs in PROGRAMS.values() for name in programs}
BLOCK = re.compile(r"^( *)(?:<!-- not run: ([^>]+) -->\n *)?```(?:bash|sh|shell|console)\n(.*?)^ *```", re.M | re.S)
TINY = ["train.max_steps=1", "train.workers=0"]
MULTIGRID = ["train.epochs=2", "train.batch=1", "train.schedule={policy: step, steps: [1]}", "train.validate_every=2"]
SMALLER = {
    "toy": ["--size", "tiny", "--processes", "1"],
    "train-det": TINY,
    "train-rec": TINY,
    "train-rec toy/recognition_multigrid": [*MULTIGRID, "train.workers=0"],
    "test-rec": ["--views", "1x1", "train.workers=0"],
    "test-det": ["train.workers=0"],
    "check-dataset": ["--processes", "1"],
    "benchmark model": ["--side", "48", "--threads", "1", "--rounds", "1"],
    "benchmark train": ["--side", "48", "--threads", "1", "--steps", "1", "--batch", "2"],
}
"""Added to the commands of a program: the smallest toy data set, trainings of a step, small pictures."""


@dataclass(frozen=True)
class Command:
    """A command of a page: what it starts, and why it is not run (empty where it is)."""

    words: tuple[str, ...]
    reason: str

    @property
    def ours(self) -> tuple[str, list[str]] | None:
        """The program of ours that it starts, and its arguments; None if it starts another."""
        if self.words[0] == "actiondet":
            return self.words[1], list(self.words[2:])
        if self.words[0] == "torchrun":
            place = self.words.index("actiondet.cli")
            return self.words[place + 1], list(self.words[place + 2 :])
        return None


def commands(page: str) -> list[Command]:
    """The commands of a page's shell blocks, in their order."""
    found = []
    for _, reason, block in BLOCK.findall((ROOT / page).read_text()):
        for line in textwrap.dedent(block).replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("&&") if "&&" in words else len(words)
                found.append(Command(tuple(words[:end]), reason))
                words = words[end + 1 :]
    return found


def start(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program; its exit code must be 0."""
    monkeypatch.setattr(sys, "argv", ["actiondet", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, f"actiondet {shlex.join(arguments)}: exit code {ended.value.code}"


class ParsedError(Exception):
    """Carries the arguments that a program has read, instead of running it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self.arguments = arguments


def parse(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """What a program reads from its command line; it goes no further."""

    def stop(read: argparse.Namespace) -> None:
        raise ParsedError(read)

    with monkeypatch.context() as patched:
        patched.setattr("evaluation.arguments._begin", stop)
        patched.setattr(sys, "argv", ["actiondet", *arguments])
        with pytest.raises(ParsedError) as read:
            main()
    return read.value.arguments


def own_data_chapter() -> ModuleType:
    """The test of that chapter, which draws annotated clips."""
    spec = importlib.util.spec_from_file_location("own", Path(__file__).with_name("test_own_data_chapter.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reader(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the reader's own files."""
    monkeypatch.chdir(tmp_path)
    for name in ("street.mp4", "more/park.mp4"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(toy / "videos" / "toy_val_000.mp4", name)
    own = own_data_chapter()
    Path("annotations").mkdir()
    for name, seed in own.CLIPS.items():
        film = make_film(Order(name, "train", (seed,), 5, own.SIZE), Path("videos"))
        Path("annotations", f"{name}.xml").write_text(own.as_cvat(film))
    return tmp_path


def write_results(toy: Path) -> None:
    """Files to evaluate: the truth of the toy set, found with a score of 0.9."""
    known = (toy / "ava" / "ava_val.csv").read_text()
    again = "".join(f"again_{line}\n" for line in known.splitlines())  # two videos can be compared, one cannot
    Path("ava_val_v2.2.csv").write_text(known + again)
    shutil.copy(toy / "ava" / "action_list_eval.pbtxt", "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    shutil.copy(toy / "ava" / "dense_proposals_val.pkl", "proposals.pkl")
    Path("ava_val_excluded_timestamps_v2.2.csv").write_text("")
    rows = [line.split(",")[:7] for line in Path("ava_val_v2.2.csv").read_text().splitlines()]
    Path("detections.csv").write_text("".join(",".join([*row, "0.9"]) + "\n" for row in rows))
    for name in ("before.csv", "after.csv"):
        shutil.copy("detections.csv", name)
    shutil.copy(toy / "multisports" / "multisports_GT.pkl", "multisports_GT.pkl")
    truth = pickle.loads(Path("multisports_GT.pkl").read_bytes())
    found = [
        [place, frame, label, 0.9, *box]  # the official layout
        for place, video in enumerate(truth["test_videos"][0])
        for label, tubes in truth["gttubes"][video].items()
        for tube in tubes
        for frame, *box in tube
    ]
    Path("frame_detections.pkl").write_bytes(pickle.dumps(np.array(found)))
    scores = VideoScores(("a", "b"), np.array([0, 1]), np.eye(2), ("walk", "run"), (10, 3), "softmax")
    write_video_scores("scores.pkl", scores)


@pytest.mark.parametrize("page", [page for page in PAGES if any(not each.reason for each in commands(page))])
def test_the_commands_of_a_page_run_in_their_order(
    page: str, reader: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page == "evaluation/README.md":
        write_results(toy)
    for command in commands(page):
        if command.reason:
            continue
        assert command.ours is not None, f"{page}: {command.words} needs the comment <!-- not run: REASON -->"
        program, arguments = command.ours
        print("$ actiondet", program, shlex.join(arguments))
        smaller = SMALLER.get(f"{program} {arguments[0]}", SMALLER.get(program, []))
        start([program, *arguments, *smaller], monkeypatch)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_the_options_of_every_command_are_known(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in commands(page):
        if command.ours is None:
            continue
        program, arguments = command.ours
        assert program in KNOWN
        read = parse([program, *arguments], monkeypatch)
        for name in zoo_names():
            if name in (getattr(read, "config", None), *getattr(read, "configs", [])):
                load_config_by_task(name, getattr(read, "settings", []))


@pytest.mark.parametrize("page", PAGES)
def test_programs_and_configurations_named_in_the_text_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for code in re.findall(r"`([^`\n]+)`", text):
        if found := re.match(r"actiondet ([a-z][a-z-]*)", code):
            assert found[1] in KNOWN, code
        if re.fullmatch(r"(ava21|ava22|ava_kinetics|multisports|kinetics400|kinetics700|ucf101|own|toy)/\w+", code):
            assert code in zoo_names(), code


def test_make_demo_starts_programs_that_know_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("demo", "demo-multisports"):
        listed = subprocess.run(
            ["make", "-n", "-o", ".venv/installed", target], cwd=ROOT, capture_output=True, text=True
        )
        started = re.findall(
            r"\S*python (?:-m data_tools\.|tools/)(\w+)(?:\.py)? (.*)", listed.stdout.replace("\\\n", "")
        )
        assert len(started) >= 5
        for program, arguments in started:
            words = [
                word for word in shlex.split(arguments.partition("||")[0]) if word not in ("--moments", "$moments")
            ]
            parse([program.replace("_", "-"), *words], monkeypatch)
