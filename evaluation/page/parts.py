"""What a page is made of: records that hold the data of a figure, a table, a chart or a gallery, and draw nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from evaluation.records import FloatArray, IntArray

Numbers = Sequence[float | int | None] | FloatArray | IntArray
"""Values of a chart; None and NaN are shown as missing."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A block of a section.

    Attributes:
        title: a small heading above it; empty for none.
        scripts: the files that draw it, beside the shell's own.
    """

    title: str = ""
    scripts: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Text(Part):
    """Paragraphs of plain text."""

    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Figure:
    """A number that stands out, as text, with its name and maybe a note below, such as its interval."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Figures(Part):
    """A row of numbers that stand out."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Beside(Part):
    """Parts beside each other where there is room, else one below the other."""

    parts: Sequence[Part]

    @property
    def all_scripts(self) -> tuple[str, ...]:
        """The files that draw the parts inside."""
        return tuple(dict.fromkeys(script for part in self.parts for script in scripts_of(part)))


@dataclass(frozen=True)
class Series:
    """The bars of one color.

    Attributes:
        values: (A,) one for each row.
        name: for the legend; empty for none.
        low, high: (A,) ends of the interval of each value; empty for none.
        tint: number of the color, 0 to 9; -1 takes the next one.
    """

    values: Numbers
    name: str = ""
    low: Numbers = ()
    high: Numbers = ()
    tint: int = -1


@dataclass(frozen=True)
class Bars(Part):
    """Horizontal bars: a row for each name, a bar for each series.

    Attributes:
        names: (A,) of the rows.
        series: one, several beside each other, or several that add up to a bar (`stacked`).
        notes: (A,) words at the end of each row, such as n=12; empty for none.
        groups: names of the colors of `tints`, for the legend.
        tints: (A,) number of the color of each row, of one series; empty for one color.
        largest: value of a bar of full width; None takes the largest, of stacked bars the largest sum.
        mean: where a dashed line goes; None for none.
        digits: decimals.
    """

    names: Sequence[str]
    series: Sequence[Series]
    notes: Sequence[str] = ()
    groups: Sequence[str] = ()
    tints: Sequence[int] = ()
    stacked: bool = False
    largest: float | None = None
    mean: float | None = None
    digits: int = 3
    scripts: ClassVar[tuple[str, ...]] = ("charts.js",)


@dataclass(frozen=True)
class Line:
    """A curve: (K,) places and values, and the number of its color (-1 takes the next one)."""

    name: str
    x: Numbers
    y: Numbers
    tint: int = -1


@dataclass(frozen=True)
class Lines(Part):
    """Curves over two axes. Of more than six, one is chosen from a list.

    Attributes:
        lines: the curves.
        x_name, y_name: of the axes.
        x_range, y_range: first and last value of the axes; None takes those of the data.
        diagonal: a dashed line from corner to corner, as in a reliability diagram.
        points: a mark at every value.
    """

    lines: Sequence[Line]
    x_name: str
    y_name: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    diagonal: bool = False
    points: bool = False
    scripts: ClassVar[tuple[str, ...]] = ("charts.js",)


@dataclass(frozen=True)
class Histogram(Part):
    """Columns: (K,) counts between (K + 1) rising edges."""

    edges: Numbers
    counts: Numbers
    x_name: str
    y_name: str
    scripts: ClassVar[tuple[str, ...]] = ("charts.js",)


@dataclass(frozen=True)
class Matrix(Part):
    """A table of (R, C) values that are colored by size; 0 and None are left empty.

    Attributes:
        rows, columns: their names; cells of a row and a column of one name are outlined.
        row_name, column_name: what they are.
        largest: value of the strongest color; None takes the largest.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Numbers] | FloatArray
    row_name: str
    column_name: str
    largest: float | None = None
    digits: int = 2
    scripts: ClassVar[tuple[str, ...]] = ("charts.js",)


@dataclass(frozen=True)
class Table(Part):
    """Rows that can be sorted and searched; a column of numbers and None is set as numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]
    digits: int = 3
    scripts: ClassVar[tuple[str, ...]] = ("tables.js",)


@dataclass(frozen=True)
class Picture:
    """A thumbnail with words.

    Attributes:
        image: address of a picture, best one that holds it (`jpeg_address`); empty for none.
        title: the first line.
        lines: more lines.
        group: what the buttons above the gallery choose by; empty for none.
        alt: what the picture shows, for those who do not see it.
    """

    image: str
    title: str
    lines: Sequence[str] = ()
    group: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Gallery(Part):
    """Thumbnails; a click enlarges one, buttons choose a group."""

    pictures: Sequence[Picture]
    scripts: ClassVar[tuple[str, ...]] = ("gallery.js",)


def scripts_of(part: Part) -> tuple[str, ...]:
    """The files that draw a part."""
    return part.all_scripts if isinstance(part, Beside) else part.scripts


def jpeg_address(jpeg: bytes) -> str:
    """The address of a picture that holds the picture itself."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
