from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actiondet.engine.recognition import score_parts
from actiondet.engine.recognition.score_parts import ScoreParts, ViewScores
from evaluation.errors import InputError


def parts_of(folder: Path, share: range, process: int = 0) -> ScoreParts:
    return ScoreParts(folder, share=share, classes=2, clips=2, crops=3, process=process)


def scores_of(draw: int) -> ViewScores:
    """The three crops of clip `draw % 2` of video `draw // 2`."""
    views = np.arange(3) + 3 * (draw % 2)
    return ViewScores(np.full((3, 2), draw, dtype=np.float32), np.full(3, draw // 2), views)


def test_parts_come_back_whole_and_a_clip_that_could_not_be_read_counts_as_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_parts, "PART_SECONDS", 0)
    first = parts_of(tmp_path / "parts", range(10))
    first.add([0, 1], [scores_of(0), scores_of(1)])
    first.add([2, 3], [scores_of(3)])
    second = parts_of(tmp_path / "parts", range(10))
    assert second.done == {0, 1, 2, 3}
    assert second.kept.scores[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 3, 3, 3]
    assert second.kept.videos.tolist() == [0] * 6 + [1] * 3
    assert second.kept.views.tolist() == [0, 1, 2, 3, 4, 5, 3, 4, 5]


def test_parts_wait_for_their_minute_and_the_last_is_written_at_the_end(tmp_path: Path) -> None:
    parts = parts_of(tmp_path / "parts", range(10))
    parts.add([4], [scores_of(4)])
    assert not (tmp_path / "parts").exists()
    parts.write()
    parts.write()
    assert len(list((tmp_path / "parts").iterdir())) == 1
    parts.remove()
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_any_number_of_processes_shares_the_kept_views_without_doubling_one(processes: int, tmp_path: Path) -> None:
    for process, draws in enumerate([(0, 1, 2), (6, 7)]):
        parts = parts_of(tmp_path, range(12), process)
        parts.add(draws, [scores_of(draw) for draw in draws])
        parts.write()
    found = []
    for process in range(processes):
        share = range(12 * process // processes, 12 * (process + 1) // processes)
        parts = parts_of(tmp_path, share, process)
        found += parts.kept.scores[:, 0].tolist()
        # What one process writes now is not what the next one takes.
        parts.add([share[-1]], [scores_of(share[-1])])
        parts.write()
    assert found == [draw for draw in (0, 1, 2, 6, 7) for _ in range(3)]


def test_a_part_that_was_being_written_is_none(tmp_path: Path) -> None:
    (tmp_path / ".000_00000.123.part.npz").write_bytes(b"PK half a file")
    assert parts_of(tmp_path, range(2)).done == frozenset()


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "000_00000.npz").write_bytes(b"PK half a file")
    with pytest.raises(InputError, match=r"000_00000\.npz: damaged .* delete it"):
        parts_of(tmp_path, range(2))
