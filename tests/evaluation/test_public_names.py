"""`import evaluation` is quick, and what it offers is what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import evaluation

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.strip()


def test_every_public_name_loads_and_is_listed() -> None:
    for name in evaluation.__all__:
        public = getattr(evaluation, name)
        assert not callable(public) or public.__module__.startswith("evaluation."), name
    assert dir(evaluation) == evaluation.__all__
    assert "frame_map" in evaluation.__all__


def test_importing_evaluation_loads_neither_pandas_nor_rich_nor_matplotlib() -> None:
    modules = "{'torch', 'pandas', 'rich', 'matplotlib', 'scipy', 'pycocotools'}"
    assert run(f"import sys, evaluation; print(sorted({modules} & set(sys.modules)))") == "[]"


def test_scoring_loads_neither_rich_nor_matplotlib() -> None:
    loaded = "sorted({'torch', 'rich', 'matplotlib'} & set(sys.modules))"
    code = f"import sys, evaluation; evaluation.frame_map; print({loaded})"
    assert run(code) == "[]"


def test_public_functions_are_functions_whoever_imports_modules_first() -> None:
    code = (
        "from evaluation.frame_ap import frame_map\n"
        "import evaluation, evaluation.tube_scoring, evaluation.explanation\n"
        "print(evaluation.frame_map is frame_map, callable(evaluation.video_map), callable(evaluation.explain))"
    )
    assert run(code) == "True True True"
