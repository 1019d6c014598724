"""What a pipeline finds in a video: moment after moment, and as a whole: table, JSON, CSV, drawn video."""

from __future__ import annotations

import html
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from actiondet.detections_json import write_detections_json
from actiondet.drawing import ActionDrawer, DrawingStyle, Frame, draw_frames
from actiondet.frame_sources import FrameSource
from actiondet.tubes.carrying import CarriedPersons
from actiondet.tubes.events import Event, EventFinder, EventRules
from actiondet.tubes.followed import followed_tubes
from actiondet.tubes.following import Follower, FoundMoment, Look
from actiondet.video_page import video_for_page, write_video_page
from evaluation.formats.ava import ActionList, write_ava_results
from evaluation.records import ActionDetections, DetectionRows, IntArray, Tube

_SHOWN_ROWS = 20
_NAMED = 0.5  # lowest score of an action that a summary counts


class VideoResult:
    """What every person does at every key moment.

    Iterating yields `ActionDetections` as they are found. What needs all of them (`detections`, `to_frame`, ...) lets
    the pipeline look at the rest first; nothing is looked at twice. Times begin at the pipeline's `start`.

    Attributes:
        actions: ids and names of the actions.

    Example:
        >>> result = actiondet.VideoPipeline.from_checkpoint("detector.pt", every=0.5)("street.mp4")
        >>> [detections.key.moment for detections in result]  # in microseconds, each as soon as it is processed
        [0, 500000, 1000000]
    """

    def __init__(
        self,
        moments: Iterator[FoundMoment],
        source: FrameSource,
        *,
        actions: ActionList,
        every: float = 1.0,
        looks: int = 1,
        start: int = 0,
        caption: str = "",
        about: str = "",
    ) -> None:
        """Put the parts together.

        Args:
            moments: persons and scores as they are found.
            source: of the frames.
            actions: ids and names of the actions.
            every: seconds between key frames.
            looks: how often the person detector looked for each key frame.
            start: microseconds, added to the times of the source's frames.
            caption: of drawn frames; empty for none.
            about: what the network is, for the JSON file.
        """
        self.actions = actions
        self._moments, self._source, self._start = moments, source, start
        self._every = every
        self._caption, self._about = caption, about
        self._follower = Follower(every / looks)
        self._found: list[ActionDetections] = []
        self._looks: list[Look] = []
        self._identities: list[IntArray] = []  # of the key frames
        self._whole = False
        self._fault: Exception | None = None
        self._carried: tuple[int, CarriedPersons] | None = None
        self._drawer: tuple[tuple[object, ...], ActionDrawer] | None = None

    def __iter__(self) -> Iterator[ActionDetections]:
        """The detections of each key moment, from the first on."""
        place = 0
        while place < len(self._found) or self._advance():
            yield self._found[place]
            place += 1

    def _advance(self) -> bool:
        """Look at one more moment; False at the end."""
        if self._fault is not None:
            raise self._fault
        if self._whole:
            return False
        try:
            found = next(self._moments)
        except StopIteration:
            self._whole = True
        except Exception as fault:
            self._fault = fault  # or the half that was found would pass for the whole
            raise
        else:
            self._looks += self._follower.update(found)
            self._identities.append(self._looks[-1].identities)
            self._found.append(found.detections)
        return not self._whole

    def collect(self) -> VideoResult:
        """Look at the rest of the video.

        Raises:
            InputError: the video cannot be read to its end.
        """
        while self._advance():
            pass
        return self

    @property
    def detections(self) -> Sequence[ActionDetections]:
        """One for each key moment of the video, rising."""
        return tuple(self.collect()._found)

    def events(
        self,
        rules: EventRules | None = None,
        *,
        begins: bool = False,
        on_moment: Callable[[], None] | None = None,
    ) -> Iterator[Event]:
        """Yield who does what, from when to when, each event as soon as it has ended.

        Args:
            rules: when an action is an event; None takes the defaults.
            begins: also yield events when they begin, with `end` None.
            on_moment: called after each key frame.

        Raises:
            InputError: a threshold of an action that the network does not know.
        """
        finder = EventFinder(
            self.actions, rules or EventRules(), step=self._every, start=self._start / 1e6, begins=begins
        )
        for place, each in enumerate(self):
            yield from finder.update(each, self._identities[place])
            if on_moment is not None:
                on_moment()
        yield from finder.finish()

    def tubes(self, threshold: float = 0.5) -> list[Tube]:
        """What each person does over time: tubes with unit boxes at key moments, by person, label and time.

        A tube's `person` is the number that the table, the JSON file, the events and the drawn video give.

        Args:
            threshold: a tube ends where the action has a lower score.
        """
        return followed_tubes(self.detections, self._identities, actions=self.actions, threshold=threshold)

    def to_frame(self, threshold: float = 0.0) -> pd.DataFrame:
        """A row for each action of each person at each moment.

        Columns: video, seconds, person (the same number while a person is followed), x1, y1, x2, y2 (fractions of
        width and height), person_score, action_id, action, score.

        Args:
            threshold: actions with a lower score are left out.
        """
        found = self.detections
        rows = DetectionRows.from_detections(found, actions=self.actions)
        times = len(self.actions)
        followed = [each for part in self._identities for each in part.tolist()]
        person_scores = np.concatenate([each.person_scores for each in found] or [np.zeros(0)])
        names = dict(zip(self.actions.ids, self.actions.names, strict=True))
        table = pd.DataFrame(
            {
                "video": np.asarray(rows.video, dtype=object),
                "seconds": rows.moment / 1e6,
                "person": np.repeat(np.asarray(followed, dtype=np.int64), times),
                **dict(zip(("x1", "y1", "x2", "y2"), rows.boxes.T, strict=True)),
                "person_score": np.repeat(person_scores.astype(np.float64), times),
                "action_id": rows.labels,
                "action": [names[label] for label in rows.labels.tolist()],
                "score": rows.scores,
            }
        )
        kept: pd.DataFrame = table.loc[table["score"] >= threshold].reset_index(drop=True)
        return kept

    def to_json(self, path: str | os.PathLike[str], *, threshold: float = 0.5) -> None:
        """Write the persons and actions of each moment; see `actiondet.detections_json`.

        Args:
            path: the file.
            threshold: actions with a lower score are left out.
        """
        found = self.detections
        write_detections_json(
            os.fspath(path),
            self._source,
            found,
            self._identities,
            actions=self.actions,
            threshold=threshold,
            start=self._start,
            about={"network": self._about} if self._about else None,
        )

    def to_ava_csv(self, path: str | os.PathLike[str]) -> None:
        """Write every score in AVA's result format."""
        write_ava_results(os.fspath(path), DetectionRows.from_detections(self.detections, actions=self.actions))

    def to_html(
        self,
        path: str | os.PathLike[str],
        *,
        style: DrawingStyle | None = None,
        rules: EventRules | None = None,
        drawn: str | os.PathLike[str] | None = None,
        on_frame: Callable[[], None] | None = None,
    ) -> str | None:
        """Write a page that plays the video, with boxes, names, and a row of events for each person.

        It plays the source where browsers do, else what `save` wrote, else a copy, which is put beside the page with
        its name. A video of up to 6 MB is put inside the page.

        Args:
            path: an .html file.
            style: lowest score and number of the actions that are named.
            rules: when an action is an event; None takes the defaults.
            drawn: what `save` wrote.
            on_frame: called after each frame of a copy.

        Returns:
            the video that must stay where it is; None where it is inside the page.

        Raises:
            InputError: the frames came from an iterator and are gone, or the file cannot be written.
        """
        style, rules = self._captioned(style), rules or EventRules()
        events = list(self.events(rules))
        moments = np.array([each.key.moment for each in self.detections], dtype=np.int64)
        looks = np.array([each.persons.key.moment for each in self._looks], dtype=np.int64)
        with video_for_page(self._source, path, drawn, on_frame=on_frame) as video:
            inside = write_video_page(
                path,
                video,
                self._persons(),
                events,
                moments=moments,
                looks=looks,
                actions=self.actions,
                start=self._start,
                threshold=style.threshold,
                lowest_event=rules.lowest,
                top=style.top,
                about=self._about,
                caption=style.caption,
            )
        return None if inside else video.path

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        style: DrawingStyle | None = None,
        on_frame: Callable[[], None] | None = None,
    ) -> str | None:
        """Write a drawn video, with the sound of the source.

        Args:
            path: an .mp4 file.
            style: what is drawn.
            on_frame: called after each frame.

        Returns:
            what is wrong with the sound, if anything is.

        Raises:
            InputError: the frames came from an iterator and are gone, or the file cannot be written.
        """
        self.collect()
        source = self._source
        return draw_frames(
            source.frames(),
            os.fspath(path),
            self._persons(),
            size=(source.width, source.height),
            rate=source.rate,
            actions=self.actions,
            style=self._captioned(style),
            start=self._start,
            sound_of=source.sound,
            pixel_aspect=source.pixel_aspect,
            on_frame=on_frame,
        )

    def draw(self, frame: Frame, at: float, *, style: DrawingStyle | None = None) -> Frame:
        """Return a drawn copy of a frame, enlarged where it is too small for labels.

        Only moments up to `at` are looked for, so that frames can be drawn while they arrive.

        Args:
            frame: (H, W, 3) uint8 RGB.
            at: seconds on the clock of the source.
            style: what is drawn.
        """
        time = self._start + round(at * 1_000_000)
        while (not self._found or self._found[-1].key.moment < time) and self._advance():
            pass
        style = self._captioned(style)
        height, width = frame.shape[:2]
        if self._drawer is None or self._drawer[0] != (width, height, style):
            drawer = ActionDrawer(width=width, height=height, actions=self.actions, style=style)
            self._drawer = (width, height, style), drawer
        return self._drawer[1].draw(frame, *self._persons().at(time))

    def _captioned(self, style: DrawingStyle | None) -> DrawingStyle:
        """`style`, in which a caption that must be said, as of random weights, is not left out."""
        style = style or DrawingStyle()
        return replace(style, caption=style.caption or self._caption)

    def _persons(self) -> CarriedPersons:
        """The persons of what is found so far, followed from moment to moment."""
        if self._carried is None or self._carried[0] != len(self._found):
            self._carried = len(self._found), CarriedPersons(self._found, self._looks)
        return self._carried[1]

    def __repr__(self) -> str:
        return f"VideoResult({self._source.name}: {self._said()})"

    def _said(self) -> str:
        if not self._found and not self._whole:
            return "not looked at yet"
        return summary(self._found, self.actions, _NAMED) + ("" if self._whole else ", so far")

    def _repr_html_(self) -> str:
        """A notebook's view: what was found so far, and the surest actions of the first persons."""
        head = f"<p><b>{html.escape(self._source.name)}</b>: {html.escape(self._said())}</p>"
        rows = []
        for each, numbers in zip(self._found, self._identities, strict=True):
            for number, scores in zip(numbers.tolist(), each.action_scores, strict=True):
                named = _best(scores, self.actions)
                rows.append(
                    f"<tr><td>{each.key.moment / 1e6:g}</td><td>{number}</td><td>{html.escape(named)}</td></tr>"
                )
        if not rows:
            return head
        more = f"<p>and {len(rows) - _SHOWN_ROWS} more</p>" if len(rows) > _SHOWN_ROWS else ""
        titles = "<tr><th>seconds</th><th>person</th><th>actions</th></tr>"
        return f"{head}<table>{titles}{''.join(rows[:_SHOWN_ROWS])}</table>{more}"


def _best(scores: np.ndarray, actions: ActionList) -> str:
    of_ids = scores[actions.columns]
    order = np.argsort(-of_ids, kind="stable")[:3]
    return ", ".join(f"{actions.names[place]} {of_ids[place]:.2f}" for place in order.tolist())


def summary(detections: Sequence[ActionDetections], actions: ActionList, threshold: float) -> str:
    """What was found in one line: moments, persons, and the actions that were seen most.

    Args:
        detections: one for each key moment.
        actions: ids and names of the columns.
        threshold: actions with a lower score do not count.
    """
    counts: Counter[str] = Counter()
    for each in detections:
        for name, column in zip(actions.names, actions.columns.tolist(), strict=True):
            counts[name] += int((each.action_scores[:, column] >= threshold).sum())
    often = ", ".join(f"{name} {count}" for name, count in counts.most_common(5) if count)
    count = sum(map(len, detections))
    persons = "1 person" if count == 1 else f"{count} persons"
    return f"found: {persons} at {len(detections)} key frames" + (f"; {often}" if often else "")
