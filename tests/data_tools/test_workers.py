"""Processes side by side: one that dies takes only its own item with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from data_tools.preparing.jobs import Done, Outcome
from data_tools.preparing.journal import Journal
from data_tools.workers import Crash, results_in_order, side_by_side
from evaluation.errors import InputError
from evaluation.files import load_pickle


def test_every_item_comes_back_once_with_its_place() -> None:
    assert sorted(side_by_side(abs, [-1, -2, -3, -4, -5], 2)) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert list(side_by_side(abs, [-1, -2], 1)) == [(0, 1), (1, 2)]
    assert list(side_by_side(abs, [], 2)) == []


def test_a_process_that_dies_is_reported_and_replaced() -> None:
    # os._exit is the work: item 7 ends its process at once with that code; so does every other one.
    results = dict(side_by_side(os._exit, [7, 8, 9], 2))
    assert results == {0: Crash("exit code 7"), 1: Crash("exit code 8"), 2: Crash("exit code 9")}
    assert dict(side_by_side(signal.raise_signal, [9], 2)) == {0: Crash("signal 9")}


def test_closing_the_iterator_ends_the_processes() -> None:
    work = side_by_side(time.sleep, [0.0, 1e6, 1e6], 2)
    assert next(work)[0] == 0
    assert multiprocessing.active_children()
    work.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("processes", [1, 2])
def test_what_work_refuses_is_raised_here(tmp_path: Path, processes: int) -> None:
    lacking = str(tmp_path / "lacking")
    with pytest.raises(FileNotFoundError) as caught:
        results_in_order(os.stat, [str(tmp_path), lacking, str(tmp_path)], processes)
    assert caught.value.filename == lacking
    with pytest.raises(InputError, match="lacking: no such file"):
        results_in_order(load_pickle, [lacking], processes)
    assert not multiprocessing.active_children()


def test_results_come_in_the_order_of_the_items() -> None:
    counted: list[None] = []
    assert results_in_order(abs, [-3, 2, -1], 2, advance=lambda: counted.append(None)) == [3, 2, 1]
    assert len(counted) == 3
    assert results_in_order(abs, [], 2) == []


def test_where_all_results_are_needed_a_dead_process_names_memory() -> None:
    with pytest.raises(InputError, match=r"died \(signal 9\); if it ran out of memory, lower --processes"):
        results_in_order(signal.raise_signal, [9, 9], 2)


@pytest.mark.parametrize(
    "tail", ["train/b", 'train/b,ready,7,"own ra', "train/b,ready,", "train/b,ready,x,order,\n", "train/b\0\0\0"]
)
def test_a_torn_row_is_passed_over(tmp_path: Path, tail: str) -> None:
    journal = Journal(tmp_path)
    journal.begin()
    journal.add(Outcome("train/a", "made", "own rate, own size", 5))
    journal.close()
    with journal.path.open("a") as file:
        file.write(tail)
    again = Journal(tmp_path)
    assert again.done == {"train/a": Done("own rate, own size", 5)}
    again.begin()
    again.add(Outcome("train/c", "failed", "own rate", reason="two\nlines, and a comma"))
    again.add(Outcome("train/a", "made", "15 fps", 3))
    again.close()
    assert Journal(tmp_path).done == {"train/a": Done("15 fps", 3)}
    again.finish()
    assert again.path.read_text() == (
        'name,state,frames,order,reason\ntrain/a,ready,3,15 fps,\ntrain/c,failed,0,own rate,"two lines, and a comma"\n'
    )
