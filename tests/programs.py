"""Programs run without a start of Python, which takes seconds of CPU for torch and its libraries.

Real starts remain: --help of each program (tests/test_architecture.py, tests/data_tools/preparing/test_programs.py),
the installed programs from the toy set to a drawn video (tests/test_wheel.py), torchrun
(tests/tools/test_detect_persons.py), and programs that must do without a library.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def run_program(program: str | Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python FILE ...` or `python -m MODULE ...` in this process.

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


def run_copies(
    program: str | Path, *arguments: object, processes: int = 1, before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program in copies of this process, for a program that is killed or limited, or for several at once.

    Args:
        program, arguments: as for `run_program`.
        processes: that work together, as torchrun starts them.
        before: what each of them calls first.

    Returns:
        What all have said, and the exit code of one that failed, if any did; the others are ended then.
    """
    from torch.distributed import TCPStore

    command = [str(program), *map(str, arguments)]
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    fork = multiprocessing.get_context("fork")
    code = 0
    with TemporaryDirectory() as folder:
        copies = [
            fork.Process(target=_be_copy, args=(command, Path(folder), rank, processes, store.port, before))
            for rank in range(processes)
        ]
        for copy in copies:
            copy.start()
        running = {copy.sentinel: copy for copy in copies}
        while running:
            for sentinel in connection.wait(list(running)):
                copy = running.pop(sentinel)  # type: ignore[call-overload]
                copy.join()
                if copy.exitcode and not code:
                    code = copy.exitcode
                    for other in running.values():
                        other.terminate()
        said, complained = (
            "".join(Path(folder, f"{rank}.{stream}").read_text() for rank in range(processes))
            for stream in ("out", "err")
        )
    return subprocess.CompletedProcess(command, code, said, complained)


def be_rank(rank: int, processes: int, port: int) -> None:
    """Make this process one of so many, as torchrun starts them; `port` is that of their store."""
    if processes > 1:
        os.environ |= {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RUN_ID": "test",
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
        }


def die_at_first_part() -> None:
    """For `before` of `run_copies`: let the process be killed when it has kept its first part."""
    from actiondet.parts import PartStore

    put = PartStore.put

    def put_and_die(self: PartStore, *arguments: object) -> None:
        put(self, *arguments)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    PartStore.put = put_and_die  # type: ignore[assignment, method-assign]


def _run(program: str) -> None:
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def _be_copy(
    command: list[str], folder: Path, rank: int, processes: int, port: int, before: Callable[[], object] | None
) -> None:
    for place, stream in ((1, "out"), (2, "err")):
        with (folder / f"{rank}.{stream}").open("w") as file:
            os.dup2(file.fileno(), place)
    sys.stdout, sys.stderr = (os.fdopen(place, "w", buffering=1, closefd=False) for place in (1, 2))
    be_rank(rank, processes, port)
    if before is not None:
        before()
    import torch

    torch.set_num_threads(1)  # the threads of OpenMP stay behind in the process that was copied
    sys.argv = command
    _run(command[0])
