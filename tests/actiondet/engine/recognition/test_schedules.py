"""The recognition zoo's learning rates against the curves that mmengine itself computed for MMAction2's files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actiondet.config import load_recognition_config
from actiondet.engine.schedule import schedule_factor

ROOT = Path(__file__).parents[4]
CURVES = json.loads((ROOT / "tests/golden/engine/lr_schedules.json").read_text())
PUBLISHED = {
    path: name.group(1)
    for path in sorted(ROOT.glob("configs/kinetics*/*.yaml"))
    if (name := re.search(r"counterpart: MMAction2 (\S+)", path.read_text()))
}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_learning_rate_of_every_epoch_is_the_published_one(path: Path) -> None:
    curve = next(each for name, each in CURVES.items() if name.endswith(f"/{PUBLISHED[path]}.py"))
    train = load_recognition_config(path).train
    ours = [
        train.base_lr * schedule_factor(train.schedule, epoch=epoch, step=0, steps_per_epoch=10, epochs=train.epochs)
        for epoch in range(train.epochs)
    ]
    # The files with non-local blocks go on at the last rate to epoch 256; ours end at 150 as their names say.
    assert ours == pytest.approx(curve["lr_at_epoch_start"][: train.epochs], rel=1e-7)
    assert train.epochs == curve["epochs"] or (train.epochs, curve["epochs"]) == (150, 256)
    assert train.batch * 8 == train.base_batch or "kinetics700" in str(path)
