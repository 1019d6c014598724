"""Pages in a browser: what is drawn, chosen and enlarged, by keyboard too, in the dark, and on a phone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evaluation.page import (
    Bars,
    Beside,
    Figure,
    Figures,
    Gallery,
    Histogram,
    Line,
    Lines,
    Matrix,
    Page,
    Picture,
    Section,
    Series,
    Table,
    Text,
    write_page,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.browser

ODD = "\"quoted\" 'x' <b>bold</b></script><script>alert(1)</script><img src=x onerror=alert(2)> 走路 🚶"
NAMES = [ODD, "walk", "sit", "wave", "jump", "fall", "throw"]
GREEN = "data:image/svg+xml;base64," + base64.b64encode(
    b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'><rect width='40' height='30' fill='green'/></svg>"
).decode("ascii")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with every kind of part; names are as odd as they come."""
    ap = np.linspace(0.1, 0.9, 7)
    ap[2] = np.nan
    grid = np.linspace(0, 1, 11)
    parts = [
        Figures([Figure(ODD, "0.287", ODD)]),
        Beside(
            [
                Bars(NAMES, [Series(ap, "first", ap - 0.05, ap + 0.05), Series(ap[::-1], "second")], mean=0.4),
                Lines([Line(name, grid, 1 - grid ** (place + 1)) for place, name in enumerate(NAMES)], "recall", ODD),
            ]
        ),
        Lines([Line("scores", grid, grid**2)], "score", "hits", (0, 1), (0, 1), diagonal=True, points=True),
        Histogram(grid, np.arange(10), "score", "boxes"),
        Matrix(NAMES, NAMES, np.eye(7), "true", "found"),
        Gallery(
            [Picture(GREEN, f"{ODD} {place}", (ODD,), group=("false", "missed")[place % 2]) for place in range(30)]
        ),
        Table(["name", "boxes"], [[f"{place} {ODD}", place] for place in range(200)]),
        Text([ODD]),
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(path, Page(ODD, [Section(ODD, parts, note=ODD)], subtitle=ODD))
    return Path(path).as_uri()


def fits(page: Tab) -> bool:
    """Nothing makes the page wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_names_are_shown_and_not_run(opened: Callable[..., Tab], address: str) -> None:
    page = opened(address)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    assert page.title() == ODD
    assert page.inner_text("h1") == ODD
    assert page.inner_text("h2") == ODD
    assert page.inner_text(".bars tbody th >> nth=0") == ODD
    assert page.locator("main b", has_text="bold").count() == page.locator("main .words b").count()  # no <b> of a name
    assert fits(page)


def test_charts_show_their_values(opened: Callable[..., Tab], address: str) -> None:
    page = opened(address)
    rows = page.locator(".bars tbody tr")
    tracks = page.eval_on_selector_all(".bars .track", "all => all.map((each) => each.clientWidth)")
    bars = page.eval_on_selector_all(".bars .bar", "all => all.map((each) => each.getBoundingClientRect().width)")
    assert bars[-2] == pytest.approx(tracks[0], abs=1)  # the largest, 0.9
    assert bars[0] == pytest.approx(tracks[0] / 9, abs=1)  # 0.1
    assert rows.nth(2).locator("td.number").all_inner_texts()[0] == "\u2013"
    page.get_by_label("Order of the bars").select_option("value")
    assert rows.nth(0).locator("th").inner_text() == "throw"
    page.get_by_label("Curve").select_option(label="sit")
    assert page.locator("path.chosen title").text_content() == "sit"
    assert page.locator(".matrix td.diagonal").count() == 7


def test_a_gallery_is_chosen_from_and_enlarged_by_keyboard(opened: Callable[..., Tab], address: str) -> None:
    page = opened(address)
    tiles = page.locator(".gallery .tile")
    assert tiles.count() == 24
    page.get_by_role("button", name="Show more of 30 pictures").click()
    assert tiles.count() == 30
    page.get_by_role("button", name="missed (15)").press("Enter")
    assert tiles.count() == 15
    tiles.first.focus()
    page.keyboard.press("Enter")
    words = page.locator("dialog b")
    assert words.inner_text() == f"{ODD} 1"
    assert page.locator("dialog img").evaluate("each => each.decode().then(() => each.naturalWidth)") == 40
    page.keyboard.press("ArrowRight")
    assert words.inner_text() == f"{ODD} 3"
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert page.evaluate("document.activeElement.matches('.tile')")


def test_a_table_is_sorted_and_searched(opened: Callable[..., Tab], address: str) -> None:
    page = opened(address)
    cells = page.locator("table:not(.bars, .matrix) tbody tr td.number")
    page.get_by_role("button", name="boxes", exact=True).click()
    assert cells.first.inner_text() == "199"
    page.get_by_label("Search the table").fill("117 ")
    assert cells.all_inner_texts() == ["117"]


def test_a_page_is_readable_in_the_dark_and_on_a_phone(opened: Callable[..., Tab], address: str) -> None:
    page = opened(address, width=360, dark=True)

    def luminance() -> tuple[float, float]:
        dark, light = page.evaluate(
            "() => { const style = getComputedStyle(document.documentElement);"
            " return [style.backgroundColor, style.color].map((each) => each.match(/\\d+/g).slice(0, 3)"
            ".reduce((sum, channel) => sum + Number(channel), 0) / 765); }"
        )
        return dark, light

    paper, ink = luminance()
    assert paper < 0.15
    assert ink > 0.8
    assert fits(page)
    page.get_by_role("button", name="Light colors").click()
    paper, ink = luminance()
    assert paper > 0.9
    assert ink < 0.2
