import numpy as np
import pytest

from actiondet.video.label_places import place_labels

FRAME = (640, 480)


def place(boxes: list[tuple[float, ...]], owners: list[int], size: tuple[float, float] = (80, 40)) -> np.ndarray:
    sizes = np.tile(np.array(size, dtype=float), (len(owners), 1))
    return place_labels(sizes, np.array(owners, dtype=np.int64), np.array(boxes, dtype=float), FRAME)


def face(box: tuple[float, ...]) -> tuple[float, ...]:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return left + 0.2 * width, top, right - 0.2 * width, top + 0.3 * height


def shared(one: np.ndarray, other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def test_a_label_lies_above_its_person() -> None:
    assert place([(100, 100, 200, 400)], [0]).tolist() == [[100, 60, 180, 100]]


@pytest.mark.parametrize("box", [(0, 0, 100, 300), (600, 0, 640, 470), (0, 0, 640, 480), (-20, -20, 30, 500)])
def test_labels_stay_in_the_frame_and_off_the_persons_own_face_where_there_is_room(box: tuple[float, ...]) -> None:
    (found,) = place([box], [0])
    assert found[:2].min() >= 0
    assert found[2] <= 640
    assert found[3] <= 480
    assert shared(found, face(box)) == 0 or box[2] - box[0] < 60


def test_a_neighbors_face_is_not_covered() -> None:
    # Somebody stands behind: the face is where the label of the person in front would be.
    front, behind = (200, 200, 300, 460), (190, 130, 290, 400)
    labels = place([front, behind], [0, 1])
    for label in labels:
        assert shared(label, face(behind)) == 0
        assert shared(label, face(front)) == 0
    assert shared(labels[0], tuple(labels[1])) == 0


def test_faces_of_persons_without_labels_count_too() -> None:
    front, behind = (200, 200, 300, 460), (190, 130, 290, 400)
    (label,) = place([front, behind], [0])
    assert shared(label, face(behind)) == 0


def test_labels_do_not_lie_on_each_other_in_a_row_of_people() -> None:
    row = [(60.0 * number, 200.0, 60.0 * number + 50, 420.0) for number in range(8)]
    labels = place(row, list(range(8)))
    for number, label in enumerate(labels):
        for other in labels[:number]:
            assert shared(label, tuple(other)) < 0.35 * 80 * 40
        assert sum(shared(label, face(person)) for person in row) == 0


def test_nobody_gives_no_label() -> None:
    assert place_labels(np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros((0, 4)), FRAME).shape == (0, 4)
