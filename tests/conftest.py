"""Fixtures that every test folder may use."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from all tests but those for one: on a GPU, sums differ from run to run and networks lie elsewhere."""
    wanted = str(config.getoption("-m"))
    if "gpu" not in wanted or "not gpu" in wanted:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files beside the checkout; tests that need it skip where it is absent."""
    root = Path(__file__).resolve().parents[1]
    folders = [parent / "shared" for parent in (root, *root.parents[:2])]  # a work tree may lie one folder deeper
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        pytest.skip("the reference files are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest toy data set: two training videos and one validation video of four seconds."""
    from data_tools.toy.making import make

    folder = tmp_path_factory.mktemp("toy")
    make(folder, seed=0, size="tiny", processes=1)
    return folder


@pytest.fixture(scope="session")
def stamped() -> ModuleType:
    """The maker of small videos whose every frame shows its own number: tests/stamped_videos.py."""
    # By its path: with importmode=importlib no folder of tests can be imported from.
    spec = importlib.util.spec_from_file_location("stamped_videos", Path(__file__).with_name("stamped_videos.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
