"""Draw persons and what they do on frames, with supervision's annotators."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
import supervision as sv

from actiondet.ahead import ahead, closed
from actiondet.tubes.carrying import PersonsOverTime
from actiondet.video import VideoIndex, VideoWriter
from actiondet.video.label_places import place_labels
from actiondet.video.lettering import Lettering, usual_font
from actiondet.video.planes import Undrawn
from actiondet.video.streaming import ShownFrame, stream_with_planes
from actiondet.video.writer import ConvertedPicture
from evaluation.boxes import unit_to_pixel
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections, FloatArray, IntArray

Frame = npt.NDArray[np.uint8]

# Smaller frames are drawn enlarged: a line of a label is 15 pixels high and must not hide the people.
READABLE_SHORT_SIDE = 480
_PICTURES_AHEAD = 2

# Strong, dark colors, on which white text can be read; the last is for persons without an action.
_COLORS = (
    "#c1121f",
    "#1d5fbf",
    "#2b7a0b",
    "#a0319c",
    "#b85c00",
    "#00707f",
    "#7a4a1e",
    "#5b3fd1",
    "#a8326b",
    "#4a6b00",
)
_NO_ACTION = "#6b6b6b"


@dataclass(frozen=True)
class DrawingStyle:
    """What is drawn.

    Attributes:
        threshold: actions with a lower score are not named.
        top: at most so many actions a person.
        colour_by: one color for each person, which stays with it, or for each best action.
        caption: a line at the bottom of every frame; empty for none.
        font: a TrueType file for action names that need one, such as Chinese ones. Names beyond ASCII are drawn with
            letters of a font in any case, which takes about 10 ms a frame more.
        numbered: a label begins with the number of its person.
        quality: of the video file, 0 to 51 (CRF of H.264): 18 looks like the source, 28 is small.

    Raises:
        InputError: no such threshold, number or quality.

    Example:
        >>> result = actiondet.VideoPipeline.from_checkpoint("detector.pt", every=0.5)("street.mp4")
        >>> path = result.save("street_drawn.mp4", style=actiondet.DrawingStyle(threshold=0.3, colour_by="action"))
    """

    threshold: float = 0.5
    top: int = 3
    colour_by: Literal["action", "person"] = "person"
    caption: str = ""
    font: str | None = None
    numbered: bool = False
    quality: int = 20

    def __post_init__(self) -> None:
        if not 0 <= self.quality <= 51:
            raise InputError(f"quality {self.quality}: expected 0 (no loss) to 51 (smallest file), such as 20")
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold {self.threshold:g}: expected a score from 0 to 1, such as 0.5")
        if self.top < 1:
            raise InputError(f"top {self.top}: expected 1 action or more")


class ActionDrawer:
    """Draws on frames of one size."""

    def __init__(self, *, width: int, height: int, actions: ActionList, style: DrawingStyle) -> None:
        """Prepare annotators for frames of `width` x `height` pixels.

        Args:
            width, height: of the frames that come in.
            actions: names of the actions; columns without one are not drawn.
            style: what is drawn.
        """
        self._style = style
        self._columns = actions.columns
        self._names = dict(zip(self._columns.tolist(), short_names(actions.names), strict=True))
        short_side = min(width, height)
        self.factor = -(-READABLE_SHORT_SIDE // short_side) if short_side < READABLE_SHORT_SIDE else 1
        self.width, self.height = width * self.factor, height * self.factor
        # Pictures are shown as high or as wide as a screen of 16:9: letters are as large as on one of that shape.
        shown = max(self.height, self.width * 9 / 16)
        self._side = min(shown, 2 * self.width, 2 * self.height)
        # The annotators think in OpenCV's BGR; our frames are RGB, so red and blue change places here.
        colors = [sv.Color.from_hex(color) for color in (*_COLORS, _NO_ACTION)]
        palette = sv.ColorPalette([sv.Color(color.b, color.g, color.r) for color in colors])
        self._boxes = sv.BoxAnnotator(color=palette, thickness=max(2, round(self._side / 300)))
        self._labels = self._label_annotator(palette)
        self._letter_height = max(8.4, self._side / 71)
        self._lettering = Lettering(self._letter_height, style.font)
        narrowing = min(1.0, (self.width - 8) / max(1, self._lettering.width(style.caption)))
        self._caption_height = self._letter_height * narrowing
        self._caption_lettering = Lettering(self._caption_height, style.font)

    def _label_annotator(self, palette: sv.ColorPalette) -> sv.LabelAnnotator | sv.RichLabelAnnotator:
        padding = self._padding = max(3, round(self._side / 150))
        if self._style.font or not all(name.isascii() for name in self._names.values()):
            size = max(14, round(self._side / 38))
            self._lettering_of_labels = Lettering(0.7 * size, self._style.font or usual_font())
            self._line_height = size
            return sv.RichLabelAnnotator(
                color=palette,
                font_path=self._style.font or usual_font(),
                font_size=size,
                text_padding=padding,
                smart_position=True,
            )
        scale = max(0.45, self._side / 1333)
        self._lettering_of_labels = Lettering(21 * scale)
        self._line_height = round(21 * scale)
        return sv.LabelAnnotator(
            color=palette,
            text_scale=scale,
            text_thickness=max(1, round(2 * scale)),
            text_padding=padding,
            smart_position=True,
        )

    def draw(
        self,
        frame: Frame,
        detections: ActionDetections,
        identities: IntArray,
        truth: ActionDetections | None = None,
    ) -> Frame:
        """Return a drawn copy of `frame`, enlarged by `factor`.

        Args:
            frame: (height, width, 3) uint8 RGB.
            detections: the persons in it.
            identities: (P,) number of each person.
            truth: the persons that are in it indeed, to be drawn in outline, above the boxes and below their labels.
        """
        size = (self.width, self.height)
        picture: Frame = frame.copy()
        if self.factor > 1:
            picture = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        chosen = [self._chosen(scores) for scores in detections.action_scores]
        found = sv.Detections(
            xyxy=unit_to_pixel(detections.boxes, self.width, self.height),
            class_id=self._colors(chosen, identities),
        )
        picture = self._boxes.annotate(picture, found)
        if truth is not None:
            self._outline(picture, truth)
        texts = [
            self._text(each, scores, identity)
            for each, scores, identity in zip(chosen, detections.action_scores, identities.tolist(), strict=True)
        ]
        named = np.array([bool(text) for text in texts], dtype=bool)
        if named.any():
            shown = [text for text in texts if text]
            sizes = np.array([self._size(text) for text in shown], dtype=np.float64)
            places = place_labels(
                sizes, np.flatnonzero(named), found.xyxy.astype(np.float64), (self.width, self.height)
            )
            # The annotator sets a label's lower left corner on the upper left one of a box.
            corners = places[:, [0, 3, 2, 3]].round()
            anchors = sv.Detections(xyxy=corners, class_id=cast(npt.NDArray[np.int64], found.class_id)[named])
            picture = self._labels.annotate(picture, anchors, labels=shown)
        if self._style.caption:
            self._write_caption(picture)
        return picture

    def _size(self, text: str) -> tuple[int, int]:
        """Width and height of a label in pixels, with its margin."""
        lines = text.split("\n")
        width = max(self._lettering_of_labels.width(line) for line in lines)
        height = len(lines) * self._line_height + (len(lines) + 1) * self._padding
        return width + 2 * self._padding, height

    def _outline(self, picture: Frame, truth: ActionDetections) -> None:
        """Draw true persons and what they do: thin, white, labels at the feet."""
        corners = unit_to_pixel(truth.boxes, self.width, self.height).round().astype(int).tolist()
        for (left, top, right, bottom), scores in zip(corners, truth.action_scores, strict=True):
            names = ", ".join(self._names[int(column)] for column in self._columns[scores[self._columns] > 0])
            for thickness, color in ((3, (0, 0, 0)), (1, (255, 255, 255))):
                cv2.rectangle(picture, (left, top), (right, bottom), color, thickness)
            place = (left, min(bottom + round(1.5 * self._letter_height), self.height - 4))
            self._lettering.write(picture, names, place, (255, 255, 255))

    def _chosen(self, scores: FloatArray) -> IntArray:
        """Columns of the actions to name, best first."""
        best = self._columns[np.argsort(-scores[self._columns], kind="stable")][: self._style.top]
        return best[scores[best] >= self._style.threshold]

    def _text(self, chosen: IntArray, scores: FloatArray, identity: int) -> str:
        named = "\n".join(f"{self._names[int(column)]} {scores[column]:.2f}" for column in chosen)
        return f"{identity}: {named}" if self._style.numbered and named else named

    def _colors(self, chosen: list[IntArray], identities: IntArray) -> IntArray:
        if self._style.colour_by == "person":
            return identities % len(_COLORS)
        places = [int(each[0]) % len(_COLORS) if len(each) else len(_COLORS) for each in chosen]
        return np.array(places, dtype=np.int64)

    def _write_caption(self, picture: Frame) -> None:
        top = self.height - round(self._caption_height) - 14
        cv2.rectangle(picture, (0, top), (self.width, self.height), (0, 0, 0), cv2.FILLED)
        self._caption_lettering.write(picture, self._style.caption, (4, self.height - 8), (255, 255, 255))


def short_names(names: Sequence[str]) -> list[str]:
    """Leave out what is in brackets, "listen to (a person)", if the rest is still unique."""
    bare = [re.sub(r"\s*\([^)]*\)", "", name) or name for name in names]
    return [short if bare.count(short) == 1 else name for short, name in zip(bare, names, strict=True)]


def draw_video(
    index: VideoIndex,
    out: str | Path,
    persons: PersonsOverTime,
    *,
    actions: ActionList,
    style: DrawingStyle,
    start: int = 0,
    truth: PersonsOverTime | None = None,
    on_frame: Callable[[], None] | None = None,
) -> str | None:
    """Decode a video once more, draw on each frame, and write it with the sound of the source.

    One frame is held at a time.

    Args:
        index: the video.
        out: an .mp4 file to write, whole or not at all.
        persons: who is where; its times begin at `start`.
        actions: names of the actions.
        style: what is drawn.
        start: microseconds on the clock of `persons` at which the video begins.
        truth: who is there indeed, to be drawn in outline.
        on_frame: called after each frame.

    Returns:
        What is wrong with the sound of the video, if anything is.

    Raises:
        InputError: the video cannot be decoded, or `out` cannot be written.

    Example:
        >>> from actiondet.tubes.carrying import CarriedPersons
        >>> result = actiondet.VideoPipeline.from_checkpoint("detector.pt", every=0.5)("street.mp4")
        >>> index, persons = actiondet.index_video("street.mp4"), CarriedPersons.linked(result.detections)
        >>> style = actiondet.DrawingStyle(threshold=0.3)
        >>> fault = actiondet.draw_video(index, "drawn.mp4", persons, actions=result.actions, style=style)
    """
    return draw_frames(
        stream_with_planes(index),
        out,
        persons,
        size=(index.width, index.height),
        rate=index.rate,
        actions=actions,
        style=style,
        start=start,
        truth=truth,
        sound_of=index.path,
        pixel_aspect=index.pixel_aspect,
        on_frame=on_frame,
    )


def draw_frames(
    frames: Iterable[ShownFrame],
    out: str | Path,
    persons: PersonsOverTime,
    *,
    size: tuple[int, int],
    rate: Fraction,
    actions: ActionList,
    style: DrawingStyle,
    start: int = 0,
    truth: PersonsOverTime | None = None,
    sound_of: str | None = None,
    pixel_aspect: Fraction = Fraction(1),
    on_frame: Callable[[], None] | None = None,
) -> str | None:
    """Draw on each of some frames, and write them as a video; arguments and faults as in `draw_video`, and:

    Args:
        frames: with their times.
        size: width and height of the frames in pixels.
        rate: frames a second.
        sound_of: the video file whose sound is taken over; its first frame is the first of `frames`.
        pixel_aspect: width of a pixel over its height.
    """
    drawer = ActionDrawer(width=size[0], height=size[1], actions=actions, style=style)
    size = drawer.width, drawer.height

    def drawn() -> Iterator[tuple[int, Frame, Undrawn | None]]:
        with closed(frames):
            for shown in frames:
                time = start + shown.time
                true = truth.at(time)[0] if truth is not None else None
                picture = drawer.draw(shown.image, *persons.at(time), true)
                yield shown.time, picture, shown.undrawn if drawer.factor == 1 else None

    with VideoWriter(out, rate, *size, sound_of=sound_of, crf=style.quality, pixel_aspect=pixel_aspect) as writer:

        def converted() -> Iterator[ConvertedPicture]:
            first: int | None = None
            with closed(drawn_ahead):
                for time, picture, undrawn in drawn_ahead:
                    first = time if first is None else first
                    yield writer.convert(picture, time - first, undrawn=undrawn)

        # A frame is drawn while the one before is converted and those before are encoded.
        drawn_ahead = ahead(drawn(), _PICTURES_AHEAD)
        converted_ahead = ahead(converted(), _PICTURES_AHEAD)
        with closed(converted_ahead):
            for each in converted_ahead:
                writer.write_converted(each)
                if on_frame is not None:
                    on_frame()
    return writer.sound_fault
