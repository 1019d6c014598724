"""The house keeps its promises: what imports what, how fast programs answer, which files stand where."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = sorted((ROOT / "tools").glob("[!_]*.py"))


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    "module",
    [
        "evaluation",
        "actiondet",
        "actiondet.config",
        "actiondet.datasets.ava",
        "actiondet.datasets.multisports",
        "actiondet.datasets.video_lists",
        "actiondet.video",
        "actiondet.tubes",
        "actiondet.drawing",
        "actiondet.exported",
        "data_tools",
    ],
)
def test_rooms_that_know_no_torch_do_not_load_it(module: str) -> None:
    done = run_python("-c", f"import sys, {module}; print('torch' in sys.modules)")
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_help_answers_in_under_a_second_of_cpu(tool: Path) -> None:
    run_python(str(tool), "--help")  # the first run may compile modules
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_python(str(tool), "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1.0


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_wrong_argument_ends_with_exit_code_2_and_no_traceback(tool: Path) -> None:
    done = run_python(str(tool), "--no-such-option")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_every_public_name_loads() -> None:
    import actiondet

    assert {name for name in actiondet.__all__ if getattr(actiondet, name) is None} == set()
    assert set(dir(actiondet)) == set(actiondet.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = actiondet.no_such_name


def test_imports_point_downward() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout


def modules_of(package: str) -> dict[str, Path]:
    """The files of `package` by their modules' names."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / package).rglob("*.py")
    }


def imports_between_files(package: str) -> dict[str, set[str]]:
    """The modules of `package` that each of its modules imports, inside functions, too, but not for types alone."""
    modules = modules_of(package)
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        found: set[str] = set()
        for node in ast.walk(without_types(ast.parse(path.read_text()))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (submodules & modules.keys()) or {node.module}
        graph[name] = (found & modules.keys()) - {name}
    return graph


def without_types(tree: ast.Module) -> ast.Module:
    """The module without its `if TYPE_CHECKING:` blocks."""
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    return tree


def test_no_import_circle_joins_files_not_even_a_deferred_one() -> None:
    packages = ("actiondet", "evaluation", "data_tools", "tools")
    graph: dict[str, set[str]] = {}
    for package in packages:
        graph |= imports_between_files(package)
    order = graphlib.TopologicalSorter(graph)
    order.prepare()  # raises a CycleError that names the circle


PRODUCT = [
    path for package in ("actiondet", "evaluation", "data_tools", "tools") for path in (ROOT / package).rglob("*.py")
]
# The rooms into which a library comes; torch, numpy, pandas, OpenCV and the like are everywhere.
HOMES = {
    "av": ["actiondet/video", "data_tools/toy", "tools/benchmarks/read"],  # which times it as other toolkits call it
    "decord": ["actiondet/video"],
    "detectron2": ["actiondet/persons"],
    "lightning_fabric": ["actiondet/engine", "tools/benchmarks"],
    "onnxruntime": ["actiondet/exported", "actiondet/persons"],
    "pycocotools": ["evaluation"],
    "pydantic": ["actiondet/config", "actiondet/persons/build"],
    "safetensors": ["actiondet/models/weights", "actiondet/datasets/feature_bank"],
    "supervision": ["actiondet/drawing"],
    "tensorboard": ["actiondet/engine"],
}


def lines_of_product(pattern: str) -> dict[str, str]:
    """The lines that match, by file and number."""
    return {
        f"{path.relative_to(ROOT)}:{number}": line
        for path in PRODUCT
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(pattern, line)
    }


@pytest.mark.parametrize("library", HOMES)
def test_a_library_enters_through_its_room(library: str) -> None:
    found = lines_of_product(rf"^\s*(import|from) {library}\b")
    assert [place for place in found if not place.startswith(tuple(HOMES[library]))] == []


def test_no_module_is_replaced_in_sys_modules() -> None:
    assert lines_of_product(r"sys\.modules\[__name__\]") == {}


# What is added to while it grows, a lock, and writers of which their callers rename the file.
NOT_RENAMED = (
    "actiondet/downloads.py",
    "actiondet/engine/checkpoint.py",
    "actiondet/engine/run_lock.py",
    "actiondet/engine/scalar_events.py",
    "actiondet/event_log.py",
    "actiondet/video/kept_index.py",
    "data_tools/preparing/journal.py",
)


def test_files_are_written_beside_their_target_and_renamed() -> None:
    found = lines_of_product(r"\.write_(text|bytes)\(|open\(.*[\"'][wax]b?\+?[\"']")
    openly = {place for place, line in found.items() if not re.search("temporary|/proc/|av.open", line)}
    assert {place for place in openly if not place.startswith(NOT_RENAMED)} == set()


def test_torch_reads_weights_alone() -> None:
    safe = r"weights_only=True|pickle_module=restricted"
    assert {
        place: line for place, line in lines_of_product(r"torch\.load\(\w").items() if not re.search(safe, line)
    } == {}


# Records that are filled step by step, and stay in one room.
GROWING = {"Actor", "Conversion", "Motion", "Report", "Recipe", "Run"}


def test_records_are_frozen() -> None:
    growing = set()
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                marks = [ast.unparse(each) for each in node.decorator_list]
                if any(mark.startswith("dataclass") and "frozen=True" not in mark for mark in marks):
                    growing.add(node.name)
    assert growing <= GROWING
