from pathlib import Path

import numpy as np
import pytest

from actiondet.config.schema import StoredPersons
from actiondet.persons.build import build_persons
from actiondet.persons.stored import StoredPersonDetector
from evaluation.errors import InputError
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes

SECOND = 1_000_000
NO_FRAME = np.zeros((4, 4, 3), dtype=np.uint8)


def persons(video: str, second: float, *scores: float) -> PersonBoxes:
    box = [0.1, 0.2, 0.3, second / 1000]
    key = FrameKey(video, round(second * SECOND))
    return PersonBoxes(key, np.array([box] * len(scores), dtype=np.float32), np.array(scores, dtype=np.float32))


STORED = [persons("a", 903, 0.8), persons("a", 902, 0.4, 0.9), persons("b", 902, 1.0)]


@pytest.mark.parametrize(
    ("second", "scores", "bottom"),
    [(902, [0.9], 0.902), (902.4, [0.9], 0.902), (902.6, [0.8], 0.903), (903.5, [0.8], 0.903), (903.6, [], None)],
)
def test_the_nearest_moment_within_half_a_second_answers(second: float, scores: list[float], bottom: float) -> None:
    detector = StoredPersonDetector(STORED, threshold=0.5)
    key = FrameKey("a", round(second * SECOND))
    (found,) = detector.detect([NO_FRAME], [key])
    assert found.key == key
    assert found.scores.tolist() == pytest.approx(scores)
    assert found.boxes[:, 3].tolist() == pytest.approx([bottom] * len(scores))


def test_persons_come_best_first() -> None:
    (found,) = StoredPersonDetector(STORED, threshold=0.0).detect([NO_FRAME], [FrameKey("a", 902 * SECOND)])
    assert found.scores.tolist() == pytest.approx([0.9, 0.4])


def test_an_unknown_video_is_named_with_those_that_are_stored() -> None:
    with pytest.raises(InputError, match=r"no boxes of video 'c'.*a, b"):
        StoredPersonDetector(STORED).detect([NO_FRAME], [FrameKey("c", 0)])


@pytest.mark.parametrize("suffix", [".pkl", ".csv"])
def test_boxes_are_read_from_the_files_of_the_field(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"boxes{suffix}"
    write_proposals(file, STORED)
    detector = build_persons(StoredPersons(boxes=str(file), threshold=0.5))
    (found,) = detector.detect([NO_FRAME], [FrameKey("a", 902 * SECOND)])
    assert found.scores.tolist() == pytest.approx([0.9])
