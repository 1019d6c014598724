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


def test_reading_scoring_and_printing_load_no_pandas(tmp_path: Path) -> None:
    rows = [f"v,902,0.1,0.1,0.3,0.5,{label}" for label in (12, 80)]
    (tmp_path / "truth.csv").write_text("".join(f"{row},3\n" for row in rows))
    (tmp_path / "found.csv").write_text("".join(f"{row},{score}\n" for row in rows for score in (0.9, 0.1 + 0.2)))
    code = (
        "import sys\n"
        "from evaluation import frame_map, label_list, read_ava_csv, read_ava_results\n"
        f"truth, found = read_ava_csv(r'{tmp_path / 'truth.csv'}'), read_ava_results(r'{tmp_path / 'found.csv'}')\n"
        "result = frame_map(truth, found, actions=label_list('ava-2.2-evaluated'))\n"
        "print(str(result)[-14:], 'pandas' in sys.modules)"
    )
    assert run(code) == "mAP@0.5 1.0000 False"


def test_public_functions_are_functions_whoever_imports_modules_first() -> None:
    code = (
        "from evaluation.frame_ap import frame_map\n"
        "import evaluation, evaluation.tube_scoring, evaluation.explanation\n"
        "print(evaluation.frame_map is frame_map, callable(evaluation.video_map), callable(evaluation.explain))"
    )
    assert run(code) == "True True True"
