"""Runs of rows are read to the same columns as row by row, whatever lies between them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats import csv_columns, csv_runs

ODD = (
    "v,902,0.1,0.2,0.3,0.4,7,1",
    "v,902,0.1,0.2,0.3,0.4,7,1e-05",
    "v,902,0.1,0.2,0.3,0.4,7,0.12345678",
    "v,902,0.1,0.2,0.3,0.4,700,0.5",
    "v,902,0.1,0.2,0.3,0.4,7",
    "v,902,0.1,0.2,0.3,0.4,7,",
    "v,902,0,0,1,1,7,0.25",
    "v,902",
    "v,902,,,,,,",
    "",
    '"v",902,0.1,0.2,0.3,0.4,7,0.5',
    "v,902,0.1,0.2,0.3,0.4,7,-0.5",
    "v,902,0.1,0.2,0.3,0.4,7,0.5\r",
    "prüfung,902,0.1,0.2,0.3,0.4,7,0.5",
    "\ufeffv,902,0.1,0.2,0.3,0.4,7,0.5",
    "v,902,0.1,0.2,0.3,7,0.5",
    "v,902,0.1,0.2,0.3,0.4,0.4,7,0.5",
    "v,902,-0.1,0.2,0.3,0.4,7,0.5",
    "v\r902,0.1,0.2,0.3,0.4,7,0.5",
)
"""Rows that a run cannot hold, some of them no rows at all."""


def run_of(generator: np.random.Generator, *, all_digits: bool = False) -> list[str]:
    """Rows of one box, with rounded scores or as this project writes them."""
    box = ",".join(f"{side:.3f}" for side in generator.random(4))
    name, time = generator.choice(["v", "w_long_name_of_a_video", "ü"]), generator.integers(900, 904)
    labels = generator.choice(99, size=generator.integers(4, 12), replace=False)
    scores = [f"{score:.{generator.integers(1, 8)}f}" for score in generator.random(len(labels))]
    if all_digits:
        box = ",".join(repr(side) for side in generator.random(4).tolist())
        scores = [repr(score) for score in (10 ** generator.uniform(-7, 0, len(labels))).astype(np.float32).tolist()]
    return [f"{name},{time},{box},{label},{score}" for label, score in zip(labels, scores, strict=True)]


def columns_of(path: Path) -> list[object]:
    """All that a file says, or how it is refused."""
    try:
        columns = csv_columns.read_columns(path, lambda row: None)
    except InputError:
        return ["refused"]
    arrays = [np.asarray(columns.video, dtype=object), columns.moment, columns.boxes.T, columns.labels, columns.last]
    return [
        list(columns.video.categories),
        *(array.tolist() if array.dtype == object else array.tobytes() for array in arrays),
    ]


@pytest.mark.parametrize("odd", [(), *((row,) for row in ODD), ODD[:9]])
def test_runs_read_like_rows(odd: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(len(odd) + len("".join(odd)))
    lines = [line for number in range(60) for line in run_of(generator, all_digits=number % 10 == 0)]
    for row in odd:
        lines.insert(int(generator.integers(len(lines))), row)
        lines.insert(int(generator.integers(len(lines))), row)
    plain, packed = tmp_path / "rows.csv", tmp_path / "rows.csv.gz"
    text = "\n".join(lines) + "\n" * (len(odd) % 2)
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    found = []
    for block_bytes in (1 << 23, 700):
        monkeypatch.setattr(csv_columns, "_BLOCK_BYTES", block_bytes)
        found += [columns_of(plain), columns_of(packed)]
    monkeypatch.setattr(csv_columns, "find_runs", lambda block: None)
    found.append(columns_of(plain))
    monkeypatch.setattr(csv_columns, "read_plain", lambda block: None)  # pandas reads all
    for columns in found:
        assert columns == columns_of(plain)


@pytest.mark.parametrize("all_digits", [False, True])
def test_most_rows_of_a_detector_are_in_runs_and_exact(all_digits: bool) -> None:
    generator = np.random.default_rng(0)
    lines = [line for _ in range(50) for line in run_of(generator, all_digits=all_digits)]
    runs = csv_runs.find_runs("".join(f"{line}\n" for line in lines).encode())
    assert runs is not None
    assert 5 * len(runs.head) < len(lines)
    inside = np.setdiff1d(np.arange(len(lines)), runs.head)
    assert [runs.labels[row] for row in inside] == [int(lines[row].split(",")[6]) for row in inside]
    assert [runs.scores[row] for row in inside] == [float(lines[row].split(",")[7]) for row in inside]


@pytest.mark.parametrize("rows", [["v,902,0.1,0.2,0.3,0.4,7,0.5"], ["a", "b"], ["v,902,0.1,0.2,0.3,0.4,7,0.5"] * 2])
def test_few_rows_have_no_runs_or_one(rows: list[str]) -> None:
    runs = csv_runs.find_runs("".join(f"{row}\n" for row in rows).encode())
    assert (None if runs is None else runs.head.tolist()) == ([0] if len({*rows}) < len(rows) else None)
