"""Frame-mAP against what the three toolkits themselves printed (tests/golden/ava/expected.json says how)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluation

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ava"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
CASES: dict[str, Any] = EXPECTED["cases"]
DRAWS = json.loads((GOLDEN / "draws.json").read_text())
PROTOCOLS = ("official", "pyslowfast", "mmaction2")
TOLERANCE = 1e-12


def environment() -> str:
    """Tell apart how numpy's default sort orders equal numbers here."""
    tied = np.random.default_rng(0).integers(0, 20, 2000) / 20.0
    return hashlib.sha256(np.argsort(tied).astype("<i8").tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function from a draw's name to its files, read; every draw is made once."""
    spec = importlib.util.spec_from_file_location("gen_ava", GOLDEN / "gen_ava.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    known: dict[str, Any] = {}

    def read(name: str) -> Any:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            generator.draw([str(folder), *DRAWS[name].split()])
            for file, digest in CASES[name]["sha256"].items():
                found = hashlib.sha256((folder / file).read_bytes()).hexdigest()[:16]
                assert found == digest, f"{name}/{file} is not the file that was evaluated: another random stream?"
            known[name] = read_folder(folder, "gt.csv", "det.csv", "labels.pbtxt", "excl.csv")
        return known[name]

    return read


def read_folder(folder: Path, truth: str, detections: str, labels: str, excluded: str | None) -> dict[str, Any]:
    return {
        "truth": evaluation.read_ava_csv(folder / truth),
        "detections": evaluation.read_ava_results(folder / detections),
        "actions": evaluation.read_action_list(folder / labels),
        "excluded": evaluation.read_excluded(folder / excluded) if excluded else frozenset(),
    }


def agree(files: dict[str, Any], protocol: str, ties: str, expected: dict[str, Any]) -> None:
    if "error" in expected:
        with pytest.raises(evaluation.InputError, match="inside out"):
            evaluation.frame_map(**files, protocol=protocol, ties=ties)
        return
    result = evaluation.frame_map(**files, protocol=protocol, ties=ties)
    scored = result.per_class.dropna(subset=["ap"])
    ours = {str(label): ap for label, ap in zip(scored["id"], scored["ap"], strict=True)}
    assert ours == pytest.approx(expected["per_class"], abs=TOLERANCE)
    assert result.mean_ap == pytest.approx(expected["mean_ap"], abs=TOLERANCE)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", DRAWS)
def test_draws_score_as_in_the_toolkits_with_a_stable_sort(drawn: Any, name: str, protocol: str) -> None:
    agree(drawn(name), protocol, "stable", CASES[name]["stable"][protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", DRAWS)
def test_draws_score_as_in_the_toolkits_with_the_sort_of_this_numpy(drawn: Any, name: str, protocol: str) -> None:
    expected = CASES[name]["stable"]
    if "official" in CASES[name]:
        if environment() not in CASES[name]["official"]:
            pytest.skip("no toolkit was run with a numpy that orders equal scores as this one does")
        expected = CASES[name]["official"][environment()]
    agree(drawn(name), protocol, "official", expected[protocol])


def test_at_least_twenty_draws_have_unique_scores_and_some_have_ties() -> None:
    unique = [name for name, options in DRAWS.items() if "--unique-scores" in options]
    assert len(unique) >= 20
    # Among the others the sorts differ, or they would test nothing.
    assert sum("official" in CASES[name] for name in DRAWS) >= 4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_real_sample_of_mmaction2_scores_as_published(shared: Path, protocol: str) -> None:
    folder = shared / "reference" / "evaluation" / "real" / "mma_eval_detection"
    files = read_folder(folder, "gt.csv", "pred.csv", "action_list.txt", None)
    for ties in ("stable", "official"):
        agree(files, protocol, ties, CASES["mma_eval_detection"]["stable"][protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_real_annotations_with_drawn_scores_score_as_in_the_toolkits(shared: Path, protocol: str) -> None:
    folder = shared / "reference" / "evaluation" / "real" / "mma_ava_dataset"
    files = {
        "truth": evaluation.read_ava_csv(folder / "ava_sample.csv"),
        "detections": evaluation.read_ava_results(GOLDEN / "mma_ava_dataset_detections.csv"),
        "actions": evaluation.read_action_list(folder / "action_list.txt"),
        "excluded": evaluation.read_excluded(folder / "ava_excluded_timestamps_sample.csv"),
    }
    agree(files, protocol, "stable", CASES["mma_ava_dataset"]["stable"][protocol])
