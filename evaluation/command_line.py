"""How every program ends: quietly, or with one clear sentence."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from evaluation.errors import InputError, StoppedBySignal
from evaluation.messages import set_level

# What the libraries say, each in an exception of its own, where memory cannot be had.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
    "not enough memory",
    "out of memory",
    "can't start new thread",
    "failed to map segment from shared object",
)
_LONGEST_DETAIL = 200


def program_name() -> str:
    """What the user typed: `actiondet toy`, `python -m data_tools.toy`, or the name of the file."""
    typed = os.path.basename(sys.argv[0])
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or typed.startswith("actiondet"):
        return typed
    return f"python -m {spec.name.removesuffix('.__main__')}"


def run_tool(main: Callable[[], int | None]) -> NoReturn:
    """Run a program's `main` and leave the process.

    Exit codes: what `main` returns (None is 0); 2 after a fault that the user can correct and where memory runs out,
    with one sentence on standard error; 130 after Ctrl-C and 143 after SIGTERM, once what was being written is
    cleared away. Other exceptions are faults of the program and keep their traceback; ACTIONDET_TRACEBACK=1 shows it
    for the user's faults, too.
    """
    output = sys.stdout
    try:
        with _sigterm_raises():
            code = main() or 0
            output.flush()
    except BrokenPipeError:
        # The reader of our output (head, less) has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        code = 0
    except StoppedBySignal as stop:
        print(f"{program_name()}: {stop}", file=sys.stderr)
        code = 128 + stop.number
    except KeyboardInterrupt:
        print(f"{program_name()}: stopped by SIGINT", file=sys.stderr)
        code = 130
    except Exception as fault:
        sentence = _sentence(fault)
        if sentence is None or os.environ.get("ACTIONDET_TRACEBACK"):
            raise
        print(f"{program_name()}: {sentence}", file=sys.stderr)
        code = 2
    finally:  # what `evaluation.arguments.Parser` has changed
        sys.stdout = output
        set_level()
    sys.exit(code)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise StoppedBySignal, so that every `finally` runs; a second one ends the process at once."""
    process = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() == process:
            raise StoppedBySignal(number, f"stopped by {signal.Signals(number).name}")
        os.kill(os.getpid(), number)  # a forked process, which has no such `finally`

    if (
        signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _sentence(fault: Exception) -> str | None:
    """What to say of a fault that the user can correct; None for a fault of the program."""
    if isinstance(fault, InputError | OSError):
        return describe(fault)
    text = str(fault).strip()
    if isinstance(fault, MemoryError) or any(each in text.lower() for each in _OUT_OF_MEMORY):
        detail = f" ({text.splitlines()[0][:_LONGEST_DETAIL]})" if text else ""
        return (
            f"out of memory{detail}; expected more free memory, a higher limit (ulimit -v), or less to do at once: "
            "a smaller batch, fewer workers or processes"
        )
    return None


def describe(fault: Exception) -> str:
    """Say `fault` in one sentence; an OSError without its number."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
    return str(fault)
