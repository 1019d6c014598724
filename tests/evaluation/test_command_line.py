"""How programs end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.command_line import run_tool
from evaluation.errors import InputError, shown
from evaluation.files import atomic_path


def fail(fault: BaseException) -> None:
    raise fault


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (1, 1)])
def test_the_exit_code_is_what_main_returns(value: int | None, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        run_tool(lambda: value)
    assert ended.value.code == code


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (InputError("truth.csv:3: 'x' is not a number"), "truth.csv:3: 'x' is not a number"),
        (FileNotFoundError(2, "No such file or directory", "there.csv"), "there.csv: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (
            MemoryError(),
            "out of memory; expected more free memory, a higher limit (ulimit -v), or less to do at once: a "
            "smaller batch, fewer workers or processes",
        ),
        (RuntimeError("can't start new thread"), "fewer workers or processes"),
    ],
)
def test_a_users_fault_is_one_sentence_and_exit_code_2(
    fault: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_tool(lambda: fail(fault))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.rstrip().endswith(message)


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: fail(ZeroDivisionError()))


def test_the_traceback_of_a_users_fault_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONDET_TRACEBACK", "1")
    with pytest.raises(InputError):
        run_tool(lambda: fail(InputError("x")))


@pytest.mark.parametrize("large", [lambda: np.empty(1 << 55), lambda: torch.empty(1 << 55)])
def test_what_libraries_say_when_memory_runs_out_is_one_sentence(
    large: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_tool(lambda: 0 if large() is None else 1)
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n")) == (2, 1)
    assert ": out of memory (" in error


def test_ctrl_c_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_tool(lambda: fail(KeyboardInterrupt()))
    assert ended.value.code == 130
    assert capsys.readouterr().err.endswith(": stopped by SIGINT\n")


def test_sigterm_runs_what_clears_away_and_ends_with_143(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def main() -> None:
        with atomic_path(tmp_path / "result") as temporary:
            temporary.write_text("half")
            try:
                signal.raise_signal(signal.SIGTERM)
            except Exception:
                pytest.fail("a signal is not a fault of a file")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        run_tool(main)
    assert ended.value.code == 143
    assert capsys.readouterr().err.endswith(": stopped by SIGTERM\n")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_process_that_the_program_forks_ends_by_sigterm_alone() -> None:
    # It says when it runs: Python forgets a signal that arrives while it forks.
    program = """
import multiprocessing
from evaluation.command_line import run_tool
context = multiprocessing.get_context("fork")
def work(runs):
    runs.set()
    while True:
        pass
def main():
    runs = context.Event()
    child = context.Process(target=work, args=(runs,))
    child.start()
    runs.wait()
    child.terminate()
    child.join()
    print(child.exitcode)
run_tool(main)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"{-signal.SIGTERM}\n", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([np.float64(0.5), (np.int64(3), np.True_)], "[0.5, (3, True)]"),
        ({np.str_("a"): np.float32("nan")}, "{'a': nan}"),
        ("x" * 70, "'" + "x" * 59 + "..."),
        (ValueError(f"not a number: {np.str_('x')!r}"), "ValueError(\"not a number: 'x'\")"),
    ],
)
def test_values_in_messages_are_written_without_types_of_numpy(value: object, text: str) -> None:
    assert shown(value) == text
