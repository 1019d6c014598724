"""The page of a live source: drawn pictures for those who look, and events in a browser as they begin and end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from actiondet.drawing import DrawingStyle
from actiondet.live_page import LiveShowing, live_event, live_page, live_state
from actiondet.tubes.events import Event
from actiondet.tubes.following import Look
from evaluation.formats.action_list import ActionList
from evaluation.page.serving import PageServer
from evaluation.records import ActionDetections, FrameKey, PersonBoxes

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

SECOND = 1_000_000
ODD = '"quoted" <b>bold</b></script><img src=x onerror=alert(1)> 走路 🚶'
ACTIONS = ActionList((1, 2), (ODD, "wave"), (None,) * 2)
GRAY = np.full((720, 1280, 3), 128, dtype=np.uint8)


@pytest.fixture
def server() -> Iterator[PageServer]:
    page = live_page("rtsp://user:secret@10.0.0.7/door?key=secret", ACTIONS, lowest=0.5)
    with PageServer(page, 0) as running:
        yield running


def detections(at: float) -> ActionDetections:
    boxes = np.array([[0.1, 0.2, 0.3, 0.9]], dtype=np.float32)
    return ActionDetections(FrameKey("door", round(at * SECOND)), boxes, np.ones(1), np.array([[0.1, 0.9]]))


def know(showing: LiveShowing, at: float) -> None:
    found = detections(at)
    showing.know(found, [Look(PersonBoxes(found.key, found.boxes, found.person_scores), np.array([7]))])


def test_pictures_are_drawn_while_anyone_looks(server: PageServer) -> None:
    ticks = iter(range(1_000_000))
    showing = LiveShowing(server, actions=ACTIONS, style=DrawingStyle(), clock=lambda: float(next(ticks)))
    with showing:
        showing.add(0, GRAY)
        know(showing, 0)
        assert not showing.waiting  # nobody looks
        with urlopen(f"{server.address}pictures", timeout=60) as answer:
            server.feed.wait_for_viewer()
            for place in range(1, 11):
                showing.add(place * SECOND // 25, GRAY)
            assert showing.waiting == 5  # no more than 12.5 a second
            know(showing, 1)
            assert answer.readline() == b"--picture\r\n"
            answer.readline()
            size = int(answer.readline().split()[1])
            answer.readline()
            picture = cv2.imdecode(np.frombuffer(answer.read(size), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (480, 853, 3)
    edge = picture[240:400, 82:90].astype(int)  # of the box, at a tenth of the width
    assert np.abs(edge - 128).max() > 40
    assert np.abs(picture[240:400, 400:].astype(int) - 128).max() < 10


def test_clients_who_do_not_read_do_not_hold_up_the_source(server: PageServer) -> None:
    held = [urlopen(f"{server.address}pictures", timeout=60) for _ in range(20)]
    frames = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    with LiveShowing(server, actions=ACTIONS, style=DrawingStyle(), clock=lambda: 0.0) as showing:
        for place in range(200):
            showing.add(place * SECOND // 10, frames)
            if place % 10 == 0:
                know(showing, place / 10)
    for each in held:
        each.close()


def test_a_source_is_named_without_its_password(server: PageServer) -> None:
    with urlopen(server.address, timeout=60) as answer:
        text = answer.read().decode()
    assert "10.0.0.7/door" in text
    assert "secret" not in text


def event(start: float, end: float | None, action: str = ODD) -> Event:
    return Event("door", 3, action, start, end, 0.9, 0.8, start, (0, 0, 1, 1))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_shows_pictures_and_events_as_they_come(
    opened: Callable[..., Tab], server: PageServer, width: int
) -> None:
    server.tell("event", live_event(event(1, None), ACTIONS))
    page = opened(server.address, width=width)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    rows = page.locator(".events tbody tr")
    rows.first.wait_for()
    assert rows.locator("td:nth-child(4)").all_inner_texts() == [ODD]
    assert rows.locator("td:nth-child(2)").all_text_contents() == ["goes on"]
    server.feed.wait_for_viewer()
    _, jpeg = cv2.imencode(".jpg", GRAY)
    stop = threading.Event()

    def show() -> None:
        while not stop.wait(0.1):
            server.show(jpeg.tobytes())

    showing = threading.Thread(target=show)
    showing.start()
    try:
        page.evaluate(
            """() => new Promise((done) => {
              const image = document.querySelector(".stage img");
              const look = () => (image.naturalWidth === 1280 ? done() : setTimeout(look, 50));
              look();
            })"""
        )
    finally:
        stop.set()
        showing.join()
    server.tell("event", live_event(event(1, 4.5), ACTIONS))
    server.tell("event", live_event(event(3, 4, "wave"), ACTIONS))
    server.tell("now", live_state(detections(5), 1.5, 2, (1280, 720)), kept=False)
    page.get_by_text("0:05.0 · 1 person · delay 1.5 s · 2 key frames left out").wait_for()
    page.get_by_role("button", name="wave 1").click()
    assert rows.locator("td:nth-child(4)").all_inner_texts() == ["wave"]
    page.get_by_role("button", name="all actions").click()
    assert rows.locator("td:nth-child(2)").all_text_contents() == ["1.0", "3.5"]  # the newest first
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    server.tell("end", {})
    page.get_by_text("The source ended at 0:05.0.").wait_for()
