"""How large toy sets are; what makes them is loaded on use, so that `--help` is fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from data_tools.toy.films import Kind, Order

Part = Literal["detection", "tubes", "recognition"]
PARTS: tuple[Part, ...] = ("detection", "tubes", "recognition")
TUBE_SLOT = 2
"""Seconds for which people at least go on with what they do in MultiSports' form, where every frame is scored."""


@dataclass(frozen=True)
class Size:
    """How large a toy set is.

    Attributes:
        frame: (width, height) of the videos in pixels.
        poster: (width, height) of the first validation video, which the demo draws.
        films: (train, val) films in AVA's form.
        tubes: (train, val) films in MultiSports' form.
        seconds: length of each.
        groups: (train, val) groups of recognition clips per action.
        clips: recognition clips per group.
        kind: everyday people; people on skates; people who respond to what was done before; people in pairs, whose
            actions depend on each other. All but the first are there in AVA's form alone.
        hold: frames for which a picture is shown; drawing fewer pictures makes films in less time.
    """

    frame: tuple[int, int]
    poster: tuple[int, int]
    films: tuple[int, int]
    tubes: tuple[int, int]
    seconds: int
    groups: tuple[int, int]
    clips: int
    kind: Kind = "everyday"
    hold: int = 1

    @property
    def detection_alone(self) -> bool:
        """Whether there is nothing but the detection part."""
        return self.kind != "everyday"

    def orders(self, seed: int) -> list[Order]:
        """List the films to be made in AVA's form."""
        from data_tools.toy.films import Order

        return [
            Order(
                f"toy_{split}_{number:03d}",
                split,
                (seed, place, number),
                self.seconds,
                frame,
                kind=self.kind,
                hold=self.hold,
            )
            for place, split, number, frame in self._films(self.films)
        ]

    def tube_orders(self, seed: int) -> list[Order]:
        """List the films to be made in MultiSports' form."""
        from data_tools.toy.films import Order
        from data_tools.toy.multisports_files import video_name

        return [
            Order(
                video_name(split, number),
                split,
                (seed, 2 + place, number),
                self.seconds,
                frame,
                slot=TUBE_SLOT,
                meetings=False,
            )
            for place, split, number, frame in self._films(self.tubes)
        ]

    def _films(self, counts: tuple[int, int]) -> Iterator[tuple[int, str, int, tuple[int, int]]]:
        """Yield place of the split, split, number and (width, height) of every film."""
        for place, (split, count) in enumerate(zip(("train", "val"), counts, strict=True)):
            for number in range(count):
                yield place, split, number, self.poster if split == "val" and number == 0 else self.frame

    def count_clips(self) -> tuple[int, int]:
        """Numbers of (training, validation) clips of the recognition part."""
        from data_tools.toy.actions import EVALUATED

        train, val = (count * self.clips * len(EVALUATED) for count in self.groups)
        return train, val


SIZES = {
    "tiny": Size((160, 120), (240, 180), (2, 1), (2, 1), 4, (1, 1), 1),
    "small": Size((160, 120), (480, 360), (66, 20), (100, 12), 11, (96, 16), 1),
    "medium": Size((320, 240), (640, 480), (200, 64), (200, 64), 11, (96, 24), 2),
    "fast": Size((320, 120), (320, 120), (40, 10), (0, 0), 11, (0, 0), 0, kind="skaters"),
    "recall": Size((96, 72), (96, 72), (60, 24), (0, 0), 62, (0, 0), 0, kind="recall", hold=5),
    "relations": Size((128, 60), (128, 60), (32, 16), (0, 0), 27, (0, 0), 0, kind="relations", hold=5),
}
"""tiny is for tests; fast holds people on skates, recall people who respond to what was done before, relations people
in pairs: these three have the detection part alone."""
