"""Programs run in the tests' own process, which has loaded torch already: a start of Python takes seconds of CPU.

Real starts remain: --help of each program (tests/test_architecture.py, tests/data_tools/preparing/test_programs.py),
the installed programs from the toy set to a drawn video (tests/test_wheel.py), and whatever is killed or limited.
"""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest


def run_program(program: str | Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python FILE ...` or `python -m MODULE ...`.

    Args:
        program: the path of a file, which ends in .py, or the name of a module.
        arguments: its arguments, as text.
        cwd: the folder in which it runs; None for the current one.
    """
    said, complained = io.StringIO(), io.StringIO()
    command = [str(program), *map(str, arguments)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(complained):
        if cwd is not None:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            _run(command[0])
    return subprocess.CompletedProcess(command, int(ended.value.code or 0), said.getvalue(), complained.getvalue())


def _run(program: str) -> None:
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
