"""Which frame of a video a file of one frame stands for, by its name."""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"^(?P<video>.*?)[_-]?(?P<number>\d+)$")
# What tools call frames when they do not name the video.
_ANONYMOUS = {"", "frame", "img", "image"}


def split_frame_name(stem: str) -> tuple[str, int] | None:
    """Split "street_12" into ("street", 12) and "frame_000012" into ("", 12); None if no number ends the name."""
    found = _NUMBERED.match(stem)
    if found is None:
        return None
    video = found["video"]
    return ("" if video.lower() in _ANONYMOUS else video), int(found["number"])
