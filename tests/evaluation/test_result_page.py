"""What a page of results says, of one detector and of two."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation import ActionList, DetectionRows, FrameKey, TruthRows, frame_map
from evaluation.ava_errors import ACTION_REASONS, MISSING
from evaluation.error_analysis import FRAME_REASONS, VIDEO_REASONS
from evaluation.page import Bars, Beside, Figures, Gallery, Matrix, Page, Part, Table, Text, page_html
from evaluation.records import FloatArray
from evaluation.result_page import MEANINGS, Run, analyze, result_page

ACTIONS = ActionList((1, 2), ('<b>"sit"</b>', "走路 🚶"), (None, None))
VIDEOS = [f"film {number}" for number in range(8)]
BOX = (0.1, 0.1, 0.3, 0.5)


def run_of(seed: int, scale: float = 1.0) -> Run:
    rng = np.random.default_rng(seed)
    labels = np.arange(8) % 2 + 1
    truth = TruthRows.from_arrays(video=VIDEOS, time=902, boxes=[BOX] * 8, labels=labels)
    said = np.where(rng.random(8) < 0.7, labels, 3 - labels)
    found = DetectionRows.from_arrays(
        video=VIDEOS, time=902, boxes=[BOX] * 8, labels=said, scores=scale * rng.uniform(0.1, 1, 8)
    )
    result = frame_map(truth, found, actions=ACTIONS)
    return analyze(f"runs/{seed}.csv", truth, found, result, actions=ACTIONS)


def page_of(*runs: Run, **how: object) -> Page:
    return result_page(runs, moment=lambda us: f"{us / 1e6:g} s", **how)  # type: ignore[arg-type]


def parts(page: Page, title: str) -> list[Part]:
    """The parts of a section, those beside each other one by one."""
    (section,) = [section for section in page.sections if section.title == title]
    found: list[Part] = []
    for part in section.parts:
        found += part.parts if isinstance(part, Beside) else [part]
    return found


def test_one_run_shows_its_numbers() -> None:
    run = run_of(0)
    page = page_of(run)
    (figures,) = parts(page, "Average precision")
    assert isinstance(figures, Figures)
    assert figures.figures[0].value == f"{run.result.mean_ap:.4f}"
    assert figures.figures[0].note == "95 %: {:.4f} to {:.4f}".format(*run.interval.interval)
    bars = parts(page, "Each action")[0]
    assert isinstance(bars, Bars)
    assert sorted(bars.names) == sorted(ACTIONS.names)
    assert list(bars.series[0].values) == sorted(run.result.ap[0], reverse=True)
    assert bars.mean == run.result.mean_ap
    assert "Is the difference real?" not in [section.title for section in page.sections]
    assert isinstance(parts(page, "Confusion")[0], Matrix)
    gains = parts(page, "Where the AP is lost")[0]
    assert list(gains.series[0].values) == pytest.approx(run.errors.fix_columns["gain"], abs=1e-6)


def test_two_runs_are_side_by_side_with_the_paired_comparison() -> None:
    page = page_of(run_of(0), run_of(1))
    assert page.title == "0.csv and 1.csv"
    text, table = parts(page, "Is the difference real?")
    assert isinstance(text, Text)
    assert "difference" in text.paragraphs[0]
    assert isinstance(table, Table)
    assert {row[0] for row in table.rows} == set(ACTIONS.names)
    bars = parts(page, "Each action")[0]
    assert [series.name for series in bars.series] == ["runs/0.csv", "runs/1.csv"]
    assert len([part for part in parts(page, "Worst mistakes") if isinstance(part, Gallery)]) == 2


def test_scores_that_are_not_probabilities_go_without_calibration() -> None:
    run = run_of(0, scale=20.0)
    assert (run.calibration, run.confusion) == (None, None)
    titles = [section.title for section in page_of(run).sections]
    assert "Calibration" not in titles
    assert "Confusion" not in titles


def test_pictures_are_cut_by_the_function_that_is_given_film_by_film() -> None:
    asked: list[FrameKey] = []

    def thumbnail(key: FrameKey, found: FloatArray | None, truth: FloatArray | None) -> bytes | None:
        asked.append(key)
        assert found is not None or truth is not None
        return None if key.video == "film 0" else b"\xff\xd8 jpeg"

    run = run_of(0)
    (gallery,) = parts(page_of(run, thumbnail=thumbnail), "Worst mistakes")
    assert isinstance(gallery, Gallery)
    assert asked == sorted(asked)
    assert len(asked) == len(gallery.pictures) == len(run.mistakes) > 0
    for mistake, picture in zip(run.mistakes, gallery.pictures, strict=True):
        kind = "data:image/svg+xml" if mistake.key.video == "film 0" else "data:image/jpeg"
        assert picture.image.startswith(kind)
        assert picture.lines[0] == f"{mistake.key.video} at 902 s"
        assert mistake.key.video in picture.alt


def test_names_are_data_of_the_page_and_never_html() -> None:
    html = page_html(page_of(run_of(0)))
    assert "<b>" not in html
    assert "走路 🚶" in html


def test_every_kind_of_error_has_a_meaning() -> None:
    assert {*ACTION_REASONS, *MISSING, *VIDEO_REASONS, *FRAME_REASONS, "missed"} == set(MEANINGS)
