"""How programs end."""

from __future__ import annotations

import pytest

from evaluation.command_line import run_tool
from evaluation.errors import InputError


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


def test_ctrl_c_ends_with_130() -> None:
    with pytest.raises(SystemExit) as ended:
        run_tool(lambda: fail(KeyboardInterrupt()))
    assert ended.value.code == 130
