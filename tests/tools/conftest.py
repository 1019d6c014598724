"""Running the programs of tools/ in this process, which has loaded torch already."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="session")
def run_tool() -> Callable[..., int]:
    """Run a program of tools/ with some arguments, and return its exit code."""

    def run(tool: str, *arguments: str) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [f"tools/{tool}", *arguments])
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(TOOLS / tool), run_name="__main__")
        return int(ended.value.code or 0)

    return run
