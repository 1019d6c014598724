"""Every case in which the three toolkits disagree, under all three protocols.

The files and what the toolkits print for them stand in tests/golden/ava/disagreements.json.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import evaluation

FILE = Path(__file__).resolve().parents[1] / "golden" / "ava" / "disagreements.json"
CASES: dict[str, Any] = json.loads(FILE.read_text())["cases"]
# Where a toolkit cannot read a dialect, its protocol gives the number of the files as they are meant.
MEANT = {("D3", "pyslowfast"): 0.5, ("D3", "mmaction2"): 1.0, ("L", "pyslowfast"): 1.0, ("L", "mmaction2"): 1.0}


@pytest.mark.parametrize("ties", ["stable", "official"])
@pytest.mark.parametrize("protocol", ["official", "pyslowfast", "mmaction2"])
@pytest.mark.parametrize("name", CASES)
def test_each_protocol_prints_what_its_toolkit_prints(tmp_path: Path, name: str, protocol: str, ties: str) -> None:
    case = CASES[name]
    for file in ("truth", "detections", "excluded"):
        (tmp_path / file).write_text("".join(f"{line}\n" for line in case[file]))
    actions = evaluation.ActionList(
        tuple(case["actions"]), tuple(f"action {i}" for i in case["actions"]), (None,) * len(case["actions"])
    )

    def mean_ap() -> float:
        return evaluation.frame_map(
            evaluation.read_ava_csv(tmp_path / "truth"),
            evaluation.read_ava_results(tmp_path / "detections"),
            actions=actions,
            excluded=evaluation.read_excluded(tmp_path / "excluded"),
            protocol=protocol,
            ties=ties,
        ).mean_ap

    expected = case["expected"][protocol]
    if name == "I" and protocol == "mmaction2":
        assert expected == "ValueError"
        with pytest.raises(
            evaluation.InputError, match=r"1 detections have boxes that are inside out.*mmaction2 stops"
        ):
            mean_ap()
    elif expected is None:
        assert math.isnan(mean_ap())
    else:
        expected = MEANT.get((name, protocol), expected)
        assert mean_ap() == pytest.approx(expected, abs=1e-12)


def test_every_toolkit_stands_alone_somewhere() -> None:
    alone = dict.fromkeys(("official", "pyslowfast", "mmaction2"), 0)
    for case in CASES.values():
        values = case["expected"]
        for protocol in alone:
            alone[protocol] += list(values.values()).count(values[protocol]) == 1
    assert min(alone.values()) >= 2
