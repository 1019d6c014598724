"""The page of a video in a browser: boxes where the data says, choices, jumps and steps, with and without a video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from actiondet.tubes.carrying import CarriedPersons
from actiondet.tubes.events import Event
from actiondet.video import VideoWriter
from actiondet.video_page import PageVideo, write_video_page
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FrameKey

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.browser

SECOND = 1_000_000
ODD = '"quoted" <b>bold</b></script><img src=x onerror=alert(1)> 走路 🚶'
ACTIONS = ActionList((1, 2), (ODD, "wave"), (None, None))
WIDTH, HEIGHT = 320, 240


def box_at(second: float) -> list[float]:
    """Where the first person is."""
    return [0.1 + 0.1 * second, 0.25, 0.3 + 0.1 * second, 0.75]


def detections() -> list[ActionDetections]:
    """One person who walks to the right for five seconds; another one stands there at second 4."""
    found = []
    for second in range(5):
        boxes = [box_at(second)] + [[0.8, 0.1, 0.95, 0.4]] * (second == 4)
        scores = [[0.9, 0.2]] + [[0.1, 0.7]] * (second == 4)
        found.append(
            ActionDetections(FrameKey("v", second * SECOND), np.array(boxes), np.ones(len(boxes)), np.array(scores))
        )
    return found


EVENTS = [
    Event("v", 0, ODD, 0.0, 4.5, 0.9, 0.9, 0.0, (0, 0, 1, 1)),
    Event("v", 1, "wave", 3.5, 4.5, 0.7, 0.7, 4.0, (0, 0, 1, 1)),
]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three pages: with the video inside, without a video, and with one beside it that is missing."""
    folder = tmp_path_factory.mktemp("pages")
    with VideoWriter(folder / "v.mp4", 10, WIDTH, HEIGHT) as writer:
        for number in range(50):
            writer.write(np.full((HEIGHT, WIDTH, 3), 4 * number, dtype=np.uint8))
    moments = np.arange(5, dtype=np.int64) * SECOND
    found = {}
    for name, path in (("inside", str(folder / "v.mp4")), ("none", None)):
        video = PageVideo(path=path, name=ODD, width=WIDTH, height=HEIGHT, seconds=5.0)
        page = folder / f"{name}.html"
        write_video_page(
            page, video, CarriedPersons.linked(detections()), EVENTS, moments=moments, looks=moments, actions=ACTIONS
        )
        found[name] = page.as_uri()
    return found


def box_edges(page: Tab) -> tuple[float, float, float, float]:
    """The outer edges of what is drawn in the lower half of the box of the first person, as fractions of the picture.

    Labels are above boxes; the middle row of the picture crosses the two upright edges, and the columns between them
    end at the lower one.
    """
    found = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas.boxes");
          const { width, height } = canvas;
          const copy = new OffscreenCanvas(width, height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const pixels = copy.getImageData(0, 0, width, height).data;
          const drawn = (x, y) => pixels[4 * (y * width + x) + 3] > 250;
          const row = Math.round(height / 2);
          const columns = [...Array(width).keys()].filter((x) => drawn(x, row));
          const [left, right] = [columns[0], columns[columns.length - 1]];
          const middle = Math.round((left + right) / 2);
          const rows = [...Array(height).keys()].filter((y) => drawn(middle, y));
          return [left / width, right / width, rows[rows.length - 1] / height, 1 / width];
        }"""
    )
    return tuple(found)


def go_to(page: Tab, second: float) -> None:
    """Set the time as a person does who drags the slider; wait until the video is there."""
    page.get_by_label("Time", exact=True).fill(str(second))
    page.evaluate(
        """() => new Promise((done) => {
          const video = document.querySelector("video");
          video && video.seeking ? video.addEventListener("seeked", () => done(), { once: true }) : done();
        })"""
    )


def reading(page: Tab) -> str:
    return page.locator(".controls .digits").inner_text()


@pytest.mark.parametrize("name", ["inside", "none"])
@pytest.mark.parametrize("width", [1280, 360])
def test_boxes_are_where_the_data_says(
    opened: Callable[..., Tab], addresses: dict[str, str], name: str, width: int
) -> None:
    page = opened(addresses[name], width=width)
    for second in (0.0, 1.5, 3.0):
        go_to(page, second)
        left, right, bottom, pixel = box_edges(page)
        x1, _, x2, y2 = box_at(second)
        reach = 2 * pixel  # half of the line is 1.25
        assert left == pytest.approx(x1, abs=reach)
        assert right == pytest.approx(x2, abs=reach)
        assert bottom == pytest.approx(y2, abs=reach * WIDTH / HEIGHT)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_frame_that_is_shown_is_the_one_of_the_time(opened: Callable[..., Tab], addresses: dict[str, str]) -> None:
    page = opened(addresses["inside"])
    page.evaluate(
        """() => new Promise((done) => {
          const video = document.querySelector("video");
          video.readyState >= 2 ? done() : video.addEventListener("loadeddata", () => done(), { once: true });
        })"""
    )
    for second in (1.0, 3.0, 4.0):
        go_to(page, second)
        gray = page.evaluate(
            """() => {
              const video = document.querySelector("video");
              const canvas = new OffscreenCanvas(8, 8);
              canvas.getContext("2d").drawImage(video, 0, 0, 8, 8);
              return canvas.getContext("2d").getImageData(4, 4, 1, 1).data[0];
            }"""
        )
        assert gray == pytest.approx(4 * 10 * second, abs=3)


def test_choices_of_action_person_and_score(opened: Callable[..., Tab], addresses: dict[str, str]) -> None:
    page = opened(addresses["none"])
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    rows = page.locator(".events tbody tr")
    now = page.locator("#now")
    go_to(page, 4)
    assert rows.count() == 2
    assert now.inner_text() == f"0:04.0 · person 0: {ODD} 0.90; person 1: wave 0.70"
    page.get_by_role("button", name="wave 1").click()
    assert rows.locator("td:nth-child(4)").all_inner_texts() == ["wave"]
    assert now.inner_text() == "0:04.0 · person 1: wave 0.70"
    page.get_by_role("button", name="all actions").click()
    page.get_by_label("Person", exact=True).select_option("0")
    assert rows.locator("td:nth-child(4)").all_inner_texts() == [ODD]
    page.get_by_label("Person", exact=True).select_option("")
    page.get_by_label("Lowest score").fill("0.8")
    assert page.locator(".events p").inner_text() == "1 of 2 events"
    assert "person 1" not in now.inner_text()


def test_a_click_jumps_from_the_table_and_from_the_rows_of_persons(
    opened: Callable[..., Tab], addresses: dict[str, str]
) -> None:
    page = opened(addresses["inside"])
    page.locator(".events tbody tr", has_text="wave").click()
    assert reading(page).startswith("0:03.5")
    assert page.locator(".events tr.now").count() == 2
    canvas = page.locator(".timeline canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 84 + 0.4 * (box["width"] - 94), box["y"] + 12)  # on the axis, at 2 of 5 seconds
    assert float(reading(page)[2:6]) == pytest.approx(2, abs=0.1)
    page.mouse.click(box["x"] + 84 + 0.3 * (box["width"] - 94), box["y"] + 24 + 4 + 8)  # on the bar of person 0
    assert reading(page).startswith("0:00.0")


def test_the_keyboard_alone_steps_jumps_and_plays(opened: Callable[..., Tab], addresses: dict[str, str]) -> None:
    page = opened(addresses["none"])
    times = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "n", "p", "End", "Home"):
        page.keyboard.press(key)
        times.append(float(reading(page)[2:6]))
    assert times == [1.0, 2.0, 1.0, 3.5, 0.0, 5.0, 0.0]
    page.keyboard.press(" ")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.evaluate(
        """() => new Promise((done) => {
          const time = document.querySelector(".controls .digits");
          const look = () => (time.textContent > "0:00.2" ? done() : requestAnimationFrame(look));
          look();
        })"""
    )
    page.keyboard.press(" ")
    assert page.get_by_role("button", name="Play").is_visible()
    page.locator(".events tbody tr button").nth(1).focus()
    page.keyboard.press("Enter")
    assert reading(page).startswith("0:03.5")


def test_a_video_that_is_missing_is_named_and_the_rest_works(
    opened: Callable[..., Tab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actiondet.video_page.MOST_INSIDE", 0)
    (tmp_path / "gone.mp4").write_bytes(b"not a video")
    video = PageVideo(path=str(tmp_path / "gone.mp4"), name="gone.mp4", width=WIDTH, height=HEIGHT, seconds=5.0)
    moments = np.arange(5, dtype=np.int64) * SECOND
    page_path = tmp_path / "p.html"
    write_video_page(
        page_path, video, CarriedPersons.linked(detections()), EVENTS, moments=moments, looks=moments, actions=ACTIONS
    )
    page = opened(page_path.as_uri())
    page.get_by_text("The video does not play here: gone.mp4").wait_for()
    page.keyboard.press("ArrowRight")
    assert reading(page) == "0:01.0 / 0:05.0"
