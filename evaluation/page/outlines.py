"""Where boxes lie in a frame, drawn without the frame: a thumbnail for those who have no video at hand."""

from __future__ import annotations

import base64

from evaluation.records import FloatArray

FOUND, TRUE = "#ff9f1c", "#2ecc71"
"""Colors of boxes that were found and that are true, in outlines and in thumbnails; they are seen on any ground."""

_WIDTH, _HEIGHT = 320, 180


def outline_address(found: FloatArray | None, truth: FloatArray | None) -> str:
    """The address of a picture (SVG) of (4,) unit boxes in an empty frame."""
    marks = [
        f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{max(x2 - x1, 1):.1f}" height="{max(y2 - y1, 1):.1f}" fill="none" '
        f'stroke="{color}" stroke-width="3"{dashes}/>'
        for box, color, dashes in ((truth, TRUE, ' stroke-dasharray="7 4"'), (found, FOUND, ""))
        if box is not None
        for x1, y1, x2, y2 in [(box * (_WIDTH, _HEIGHT, _WIDTH, _HEIGHT)).tolist()]
    ]
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<rect width="100%" height="100%" fill="#30343b"/>{"".join(marks)}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode("ascii")).decode("ascii")
