"""Fixtures that every test folder may use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the reference files are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest toy data set: two training videos and one validation video of four seconds."""
    from data_tools.toy.making import make

    folder = tmp_path_factory.mktemp("toy")
    make(folder, seed=0, size="tiny", processes=1)
    return folder
