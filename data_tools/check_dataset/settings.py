"""Settings of the run that do not suit the data set."""

from __future__ import annotations

import re
from pathlib import Path

from actiondet.config import DetectionConfig
from data_tools.check_dataset.findings import Report, some
from evaluation.formats.action_list import ActionList

_SIDES = re.compile(r"\b(left|right|leftward|rightward)s?\b", re.IGNORECASE)


def check_settings(config: DetectionConfig, actions: ActionList | None, report: Report) -> None:
    """Check the weights that training starts from, and whether pictures may be mirrored."""
    weights = config.train.weights
    if weights is not None and weights != "published" and not Path(weights).is_file():
        report.error("weights-missing", "train.weights", f"there is no file {weights}", "give a checkpoint, or null")
    sided = [name for name in actions.names if _SIDES.search(name.replace("_", " "))] if actions is not None else []
    if sided and config.transform.flip > 0:
        report.warn(
            "flip-of-sides",
            "transform.flip",
            f"mirrors pictures, but actions know left and right: {some(sided)}",
            "set transform.flip=0, or the network learns each as its opposite",
        )
