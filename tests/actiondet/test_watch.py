"""Live sources: key frames that are left out instead of queued, turns, identities, causal clips."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.engine.scorer import TorchScorer
from actiondet.models.build import build_detector
from actiondet.persons.base import Frame
from actiondet.pipeline import VideoPipeline
from actiondet.tubes.events import EventRules
from actiondet.video import VideoWriter, index_video
from actiondet.watch import LiveMoment, closed_by_signals
from evaluation.errors import InputError, StoppedBySignal
from evaluation.records import FrameKey, PersonBoxes
from tests.actiondet.test_pipeline import ACTIONS, SECOND, config, trained

RATE = 10


class OnePerson:
    """Finds one person; waits at each key frame until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.asked: list[FrameKey] = []

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        self.may_go_on.wait()
        self.asked += keys
        return [PersonBoxes(key, np.array([[0.2, 0.2, 0.6, 0.9]]), np.array([0.9])) for key in keys]


def pipeline(persons: OnePerson, every: float = 1.0) -> VideoPipeline:
    torch.manual_seed(0)
    settings = config()
    return VideoPipeline(TorchScorer(trained(settings, build_detector(settings.model))), persons, every=every)


def camera(seconds: int, *, after: threading.Event | None = None, size: tuple[int, int] = (72, 96)) -> Iterator:  # type: ignore[type-arg]
    """Frames of RATE a second, and a signal after the last one."""
    random = np.random.default_rng(0)
    for number in range(seconds * RATE):
        yield number / RATE, random.integers(0, 256, (*size, 3), dtype=np.uint8)
    if after is not None:
        after.set()


def moments(found: Sequence[LiveMoment]) -> list[float]:
    return [each.detections.key.moment / SECOND for each in found]


def test_a_source_that_is_slow_enough_is_seen_whole_and_scored_as_a_video() -> None:
    persons = OnePerson()
    persons.may_go_on.set()
    looked = pipeline(persons)
    watch = looked.watch(camera(5), latency=60)
    found = list(watch)
    assert moments(found) == [0, 1, 2, 3, 4]
    assert watch.left_out == 0
    assert [each.identities.tolist() for each in found] == [[0]] * 5
    for live, filed in zip(found, looked(camera(5)), strict=True):
        np.testing.assert_allclose(live.detections.action_scores, filed.action_scores, atol=1e-6)


def test_a_machine_that_is_too_slow_leaves_out_the_oldest_and_counts_them() -> None:
    persons = OnePerson()
    watch = pipeline(persons).watch(camera(30, after=persons.may_go_on), latency=3)
    found = list(watch)  # the person detector waits at its first key frame until all have arrived
    seen = moments(found)
    assert seen[-4:] == [26, 27, 28, 29]  # no more than the latency waits
    assert len(seen) + watch.left_out == 30
    assert len(seen) <= 6  # those, the one that was being looked at, and one on its way


def test_sources_take_turns_and_keep_their_own_persons() -> None:
    persons = OnePerson()
    watch = pipeline(persons).watch([camera(4), camera(4, after=persons.may_go_on)], latency=60)
    found = list(watch)
    names = [each.detections.key.video for each in found]
    assert sorted(names) == ["source 0"] * 4 + ["source 1"] * 4
    assert all(each.identities.tolist() == [0] for each in found)


def test_a_change_of_size_begins_another_stretch() -> None:
    persons = OnePerson()
    persons.may_go_on.set()

    def turned() -> Iterator:  # type: ignore[type-arg]
        yield from camera(2)
        for seconds, frame in camera(2, size=(96, 72)):
            yield 2 + seconds, frame

    assert moments(list(pipeline(persons).watch(turned(), latency=60))) == [0, 1, 2, 3]


def test_events_of_a_source_end_with_it() -> None:
    persons = OnePerson()
    persons.may_go_on.set()
    watch = pipeline(persons).watch(camera(3), latency=60)
    events = list(watch.events(EventRules(enter=0.001)))
    assert {(event.video, event.person, event.action) for event in events} == {
        ("live", 0, name) for name in ACTIONS.names
    }
    assert {(event.start, event.end) for event in events} == {(0, 2.5)}


def test_causal_clips_end_at_their_key_frame() -> None:
    persons = OnePerson()
    persons.may_go_on.set()
    looked = pipeline(persons)
    assert looked.look_ahead() == pytest.approx(3 / 30)  # of 4 frames one comes after the key frame
    assert looked.look_ahead(causal=True) == 0
    whole, causal = (list(looked.watch(camera(3), latency=60, causal=causal)) for causal in (False, True))
    assert moments(causal) == moments(whole)
    changed = [
        not np.array_equal(one.detections.action_scores, other.detections.action_scores)
        for one, other in zip(whole, causal, strict=True)
    ]
    assert all(changed[1:])


def test_faults_of_a_source_are_raised_where_it_is_read() -> None:
    persons = OnePerson()
    persons.may_go_on.set()

    def broken() -> Iterator:  # type: ignore[type-arg]
        yield from camera(2)
        raise InputError("the camera fell down")

    with pytest.raises(InputError, match="fell down"):
        list(pipeline(persons).watch(broken(), latency=60))
    with pytest.raises(InputError, match=r"latency=-1: expected 0 or more"):
        pipeline(persons).watch(camera(1), latency=-1)
    with pytest.raises(InputError, match=r"duplicate source camera:0"):
        pipeline(persons).watch(["camera:0", "camera:0"])
    with pytest.raises(InputError, match=r"ftp://host/street\.mp4: not a stream; expected rtsp://"):
        pipeline(persons).watch("ftp://host/street.mp4")
    with pytest.raises(InputError, match=r"street\.mp4: no such file"):
        pipeline(persons).watch("street.mp4")


def test_a_file_waits_for_its_reader_and_gives_what_the_pipeline_finds_in_it(tmp_path: Path) -> None:
    persons = OnePerson()
    persons.may_go_on.set()
    with VideoWriter(tmp_path / "street.mp4", RATE, 96, 72) as writer:
        for _, frame in camera(6):
            writer.write(frame)
    looked = pipeline(persons)
    watch = looked.watch(tmp_path / "street.mp4", latency=0)
    found = list(watch)
    assert watch.left_out == 0
    for live, filed in zip(found, looked(tmp_path / "street.mp4"), strict=True):
        assert live.detections.key == filed.key
        np.testing.assert_allclose(live.detections.action_scores, filed.action_scores, atol=1e-6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sources_and_finishes_what_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    persons = OnePerson()
    persons.may_go_on.set()

    def endless() -> Iterator:  # type: ignore[type-arg]
        for second in range(1_000_000):
            for seconds, frame in camera(1):
                yield second + seconds, frame

    watch = pipeline(persons).watch(endless(), latency=60)
    watch.draw(tmp_path / "drawn.mp4")
    events = []

    def begin() -> None:
        for event in watch.events(EventRules(enter=0.001), begins=True):
            if event.end is None and not events:
                os.kill(os.getpid(), number)
            events.append(event)

    with pytest.raises(StoppedBySignal) as stopped, closed_by_signals(watch):
        begin()
    assert stopped.value.number == number
    assert sum(event.end is not None for event in events) == len(ACTIONS.names)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(index_video(tmp_path / "drawn.mp4")) >= 2  # the event begins with the first clip, which needs two


def test_each_of_several_sources_has_a_drawn_video(tmp_path: Path) -> None:
    persons = OnePerson()
    persons.may_go_on.set()
    watch = pipeline(persons).watch([camera(2), camera(1)], latency=60)
    paths = watch.draw(tmp_path / "drawn.mp4")
    list(watch)
    assert [path.name for path in paths] == ["drawn.mp4", "drawn_2.mp4"]
    assert [len(index_video(path)) for path in paths] == [2 * RATE, RATE]
    assert watch.undrawn == 0


def test_the_person_detector_looks_between_key_frames() -> None:
    persons = OnePerson()
    persons.may_go_on.set()
    found = list(pipeline(persons).watch(camera(3), latency=60))
    assert [round(key.moment / SECOND, 3) for key in persons.asked] == [round(0.2 * place, 3) for place in range(11)]
    assert [len(each.looks) for each in found] == [1, 5, 5]
    persons.asked.clear()
    list(pipeline(persons).watch(camera(3), latency=60, persons_every=1))
    assert len(persons.asked) == 3
