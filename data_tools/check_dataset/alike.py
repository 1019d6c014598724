"""Videos of both splits that look the same though their files differ: copies coded again, resized or mirrored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.videos import VideoFacts
from evaluation.errors import some

Looks = npt.NDArray[np.float32]

# Mean difference of small gray pictures, of 255: coding again changes 1 to 3, any two of the toy videos differ by 19.
_SAME = 4.0
# Pictures with less contrast look like many others.
_CONTRAST = 8.0
# What was done to a copy, of (3, S, S) pictures in the order of time.
_COPIES: dict[str, Callable[[Looks], Looks]] = {
    "": lambda look: look,
    ", mirrored": lambda look: look[:, :, ::-1],
    ", upside down": lambda look: look[:, ::-1],
    ", turned by 180 degrees": lambda look: look[:, ::-1, ::-1],
    ", played backward": lambda look: look[::-1],
}


def check_alike(
    training: Collection[str], validation: Collection[str], where: str, videos: Mapping[str, VideoFacts], report: Report
) -> None:
    """Compare beginning, middle and end of every validation video with those of every training video."""
    train, val = (_looks(sorted(split), videos) for split in (training, validation))
    if not train or not val:
        return
    names = list(train)
    table = np.stack([train[name] for name in names])
    # The mean over four quarters of each picture can differ by no more than the pictures do, four times over.
    tree = cKDTree(_coarse(table))
    pairs = []
    for name, seen in val.items():
        for how, copy in _COPIES.items():
            look = copy(seen)
            for place in tree.query_ball_point(_coarse(look[None])[0], 4 * _SAME, p=np.inf):
                other = names[place]
                same_file = videos[name].content == videos[other].content  # reported as such already
                if not same_file and other != name and np.abs(table[place] - look).mean() < _SAME:
                    pairs.append(f"'{name}' (val) and '{other}' (train){how}")
    if pairs:
        report.warn(
            "leak-look-alike",
            where,
            f"begin, middle and end look the same: {some(pairs, 3)}",
            "is one a copy of the other? keep a recording in one split",
        )


def _looks(names: Collection[str], videos: Mapping[str, VideoFacts]) -> dict[str, Looks]:
    """(3, S, S) gray pictures of the videos that show something."""
    found = {}
    for name in names:
        facts = videos.get(name)
        if facts is not None and facts.thumbnails is not None and facts.thumbnails.std() > _CONTRAST:
            found[name] = facts.thumbnails.astype(np.float32)
    return found


def _coarse(looks: Looks) -> Looks:
    """(V, 12) means over the quarters of (V, 3, S, S) pictures."""
    count, _, side, _ = looks.shape
    half = side // 2
    means: Looks = looks.reshape(count, 3, 2, half, 2, half).mean(axis=(3, 5)).reshape(count, 12)
    return means
