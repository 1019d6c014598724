"""Pages of results in a browser: the gallery, two runs, names that are shown and never run, dark and narrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evaluation import ActionList, DetectionRows, TruthRows, frame_map
from evaluation.page import write_page
from evaluation.result_page import analyze, result_page
from tests.programs import run_program

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.browser

ODD = "\"quoted\" 'x' <b>bold</b></script><script>alert(1)</script><img src=x onerror=alert(2)> 走路 🚶"
ACTIONS = ActionList((1, 2, 3), (ODD, "run", "sit down on a chair that is far away"), ("CALM", "FAST", "CALM"))
VIDEOS = [f"film {number} <i>" for number in range(9)]
BOX, NOBODY = (0.1, 0.1, 0.3, 0.5), (0.6, 0.6, 0.9, 0.9)
Opened = Callable[..., "Tab"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of two runs, most of whose actions are confused."""
    path = tmp_path_factory.mktemp("page") / "results.html"
    labels = np.arange(9) % 3 + 1
    truth = TruthRows.from_arrays(video=VIDEOS, time=902, boxes=[BOX] * 9, labels=labels)
    runs = []
    for number in range(2):
        said = np.roll(labels, number + 1)
        scores = np.linspace(0.2, 0.9, 9)
        found = DetectionRows.from_arrays(
            video=[*VIDEOS, *VIDEOS[:2]],
            time=902,
            boxes=[*[BOX] * 9, *[NOBODY] * 2],
            labels=[*said, 1, 2],
            scores=[*scores, 0.3, 0.4],
        )
        result = frame_map(truth, found, actions=ACTIONS)
        runs.append(analyze(f"run {number}", truth, found, result, actions=ACTIONS))
    write_page(path, result_page(runs, moment=lambda us: f"{us / 1e6:g} s"))
    return path.as_uri()


def run(program: str, *arguments: object) -> None:
    done = run_program(Path(__file__).resolve().parents[2] / "tools" / program, *arguments)
    assert done.returncode == 0, done.stderr


def section(page: Tab, title: str) -> Tab:
    return page.locator("section", has=page.get_by_role("heading", name=title, exact=True)).first  # type: ignore[return-value]


def test_two_runs_stand_side_by_side_with_the_verdict(opened: Opened, address: str) -> None:
    page = opened(address)
    assert "actions differ" in section(page, "Is the difference real?").inner_text()
    each = section(page, "Each action")
    assert each.locator(".track.several").count() == 3
    assert ODD in each.inner_text()
    assert page.locator("img[src='x']").count() == 0


def test_the_gallery_is_chosen_and_enlarged_by_keyboard_alone(opened: Opened, address: str) -> None:
    page = opened(address)
    mistakes = section(page, "Worst mistakes")
    chip = mistakes.locator("button.chip", has_text="confused action").first
    chip.focus()
    page.keyboard.press("Enter")
    assert chip.get_attribute("aria-pressed") == "true"
    tiles = mistakes.locator(".gallery").first.locator("button.tile")
    assert tiles.count() == int(chip.inner_text().rpartition("(")[2].rstrip(")"))
    tiles.first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    first = dialog.inner_text()
    assert "the person is right, the action is not" in first
    assert dialog.locator("img").get_attribute("src").startswith("data:image/svg+xml")  # type: ignore[union-attr]
    page.keyboard.press("ArrowRight")
    assert dialog.inner_text() != first
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1280, True)])
def test_the_page_fits_phones_and_the_dark(width: int, dark: bool, opened: Opened, address: str) -> None:
    page = opened(address, width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    shades = [float(shade) for shade in ground.partition("(")[2].rstrip(")").split(",")[:3]]
    assert (max(shades) < 60) == dark


def test_the_published_samples_become_pages(opened: Opened, shared: Path, tmp_path: Path) -> None:
    real = shared / "reference/evaluation/real"
    ava, sports = real / "mma_eval_detection", real / "mma_eval_multisports"
    files = ["--truth", ava / "gt.csv", "--detections", ava / "pred.csv", "--labels", ava / "action_list.txt"]
    run("eval_ava.py", *files, "--html", tmp_path / "ava.html")
    files = ["frame", "--truth", sports / "GT.pkl", "--detections", sports / "frame_detections.pkl"]
    run("eval_multisports.py", *files, "--html", tmp_path / "sports.html")
    for name, mean in (("ava", "0.0939"), ("sports", "0.8365")):
        page = opened((tmp_path / f"{name}.html").as_uri())
        assert mean in section(page, "Average precision").inner_text()
        assert section(page, "Worst mistakes").locator("button.tile").count() > 3
