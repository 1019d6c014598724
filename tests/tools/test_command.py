"""The installed command: `actiondet PROGRAM` is tools/PROGRAM.py, from any folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import actiondet
from actiondet.config import load_config
from actiondet.config.load import load_config_by_task
from actiondet.config.plain_yaml import ConfigError
from actiondet.config.zoo import find_config, zoo_entry, zoo_names
from actiondet.engine.loading import load_trained
from actiondet.engine.zoo_rows import PAGE_MARK
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program("actiondet.cli", *arguments, cwd=folder)


def test_version_and_help_name_every_program(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout == f"actiondet {actiondet.__version__}\n"
    listed = run(tmp_path, "--help").stdout
    programs = {path.stem.replace("_", "-") for path in (ROOT / "tools").glob("[!_]*.py")}
    programs |= {path.stem.replace("_", "-") for path in (ROOT / "data_tools").glob("prepare_*.py")}
    programs |= {path.parent.name.replace("_", "-") for path in (ROOT / "data_tools").glob("*/__main__.py")}
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} - {
        "--help",
        "--version",
    } == programs


def test_an_unknown_program_is_named_with_the_nearest(tmp_path: Path) -> None:
    done = run(tmp_path, "train-dt")
    assert (done.returncode, done.stderr) == (2, "actiondet: no program 'train-dt'; did you mean 'train-det'?\n")
    assert run(tmp_path).returncode == 2


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    command = f"{sys.executable} -m actiondet.cli --help | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_word_that_no_name_holds_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "zoo", "ava33")
    assert done.returncode == 2
    assert done.stderr.startswith("actiondet zoo: no name of the zoo holds ava33")


def test_missing_files_of_a_data_set_are_named_with_what_lists_them(tmp_path: Path) -> None:
    done = run(tmp_path, "train-det", "own/slowonly")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        ": no such file; own/slowonly names it, and `actiondet check-dataset own/slowonly` lists all that is missing"
    )


@pytest.mark.parametrize("program", ["demo", "train-det", "toy", "check-dataset", "zoo", "eval-ava", "benchmark"])
def test_a_program_describes_itself(tmp_path: Path, program: str) -> None:
    done = run(tmp_path, program, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: actiondet {program}")


def test_faults_are_named_with_the_program(tmp_path: Path) -> None:
    done = run(tmp_path, "train-det", "ava22/slowfast_r50")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "actiondet train-det: ava22/slowfast_r50: no such configuration file, and no such name"
    )
    assert "did you mean ava22/slowfast_r50_8x8" in done.stderr


def test_a_configuration_is_found_by_name_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    by_path = load_config(ROOT / "configs/ava22/slowfast_r50_8x8_k400.yaml")
    for name in ("ava22/slowfast_r50_8x8_k400", "configs/ava22/slowfast_r50_8x8_k400.yaml"):
        assert load_config(name) == by_path
    (tmp_path / "mine.yaml").write_text("base: toy/slowonly_r18\ntrain: {epochs: 3}\n")
    assert load_config("mine.yaml").train.epochs == 3
    with pytest.raises(
        ConfigError, match="slowonly_r18: no such configuration file; in the zoo there is toy/slowonly_r18"
    ):
        find_config("slowonly_r18")


def test_every_configuration_has_a_name() -> None:
    files = [path for path in (ROOT / "configs").glob("*/*.yaml") if path.parent.name != "_base_"]
    assert set(zoo_names()) == {path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in files}


def test_the_zoo_is_listed_for_people_and_programs(tmp_path: Path) -> None:
    lines = run(tmp_path, "zoo", "multisports/").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [name for name in zoo_names() if "multisports/" in name]
    (row, *_) = json.loads(run(tmp_path, "zoo", "ava21/slowonly_r50_4x16_k400", "--json", "-").stdout)
    assert row["data"] == "AVA 2.1"
    assert row["figure"] == "mAP 20.72 on AVA 2.1 val"
    assert round(row["parameters"] / 1e6, 1) == 31.8
    assert row["weights"].startswith("https://")


def test_a_copied_configuration_is_whole_and_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(
        ("ava22/slowfast_r50_8x8_tmax_focal_k400", "toy/recognition_slowonly", "own/slowonly")
    ):
        assert run(tmp_path, "copy-config", name, f"{place}.yaml").returncode == 0
        assert load_config_by_task(f"{place}.yaml") == load_config_by_task(name)
        text = (tmp_path / f"{place}.yaml").read_text()
        assert "\nbase:" not in text
        assert text.startswith(f"# {zoo_entry(name).title}")
    done = run(tmp_path, "copy-config", "own/slowonly", "0.yaml")
    assert (done.returncode, done.stderr.partition(": ")[2]) == (
        2,
        "0.yaml exists; choose another name, or pass --overwrite to replace it\n",
    )


def test_the_page_of_the_zoo_is_that_of_the_configurations() -> None:
    page = run(ROOT, "zoo", "--markdown", "-").stdout
    assert page.startswith(PAGE_MARK)
    assert (ROOT / "configs/README.md").read_text().endswith("\n" + page), (
        "run: actiondet zoo --markdown configs/README.md"
    )


def test_the_page_keeps_what_is_written_above_its_mark(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"by hand\n\n{PAGE_MARK}\n\nof an older zoo\n")
    assert run(tmp_path, "zoo", "own/", "--markdown", "page.md").returncode == 0
    above, _, below = page.read_text().partition(PAGE_MARK)
    assert above == "by hand\n\n"
    assert "own/slowfast" in below
    assert "older" not in below


def test_published_networks_know_their_actions_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_trained(None, load_config("ava21/slowonly_r50_4x16_k400")).actions.name_of(80) == "watch (a person)"
    assert load_trained(None, load_config("multisports/slowonly_r50_4x16_k400")).actions.name_of(0) == "aerobic_push_up"
