from __future__ import annotations

import numpy as np
import pytest

from actiondet.video.lettering import Lettering, usual_font

FONT = usual_font()
WHITE = (255, 255, 255)


def written(words: str, font: str | None = None, height: float = 20) -> np.ndarray:
    picture = np.full((60, 400, 3), 128, dtype=np.uint8)
    Lettering(height, font).write(picture, words, (10, 40), WHITE)
    return picture


@pytest.mark.parametrize(("words", "font"), [("HEL", None), ("ÄHÜ", None), ("HEL", FONT), ("ИН", FONT)])
def test_words_stand_on_their_place_as_high_and_as_wide_as_told(words: str, font: str | None) -> None:
    rows, columns = (written(words, font).max(axis=2) > 200).nonzero()
    assert rows.max() == pytest.approx(40, abs=2)
    assert 10 <= columns.min() <= 15
    assert columns.max() - 10 == pytest.approx(Lettering(20, font).width(words), abs=6)
    plain, _ = (written("HEL", font).max(axis=2) > 200).nonzero()
    assert plain.max() - plain.min() == pytest.approx(20, abs=2)


def test_words_have_a_black_edge() -> None:
    for words, font in (("wave", None), ("winkt ä", None), ("машет", FONT)):
        assert (written(words, font) == 0).all(axis=2).any()


def test_words_beyond_ascii_differ_from_each_other() -> None:
    assert (written("éè", None) != written("àâ", None)).any()
    assert (written("идёт", FONT) != written("стоит", FONT)).any()
