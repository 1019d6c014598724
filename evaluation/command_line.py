"""How every program ends: quietly, or with one clear sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from evaluation.errors import InputError, StoppedBySignal


def program_name() -> str:
    """What the user typed: `actiondet toy`, `python -m data_tools.toy`, or the name of the file."""
    typed = os.path.basename(sys.argv[0])
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or typed.startswith("actiondet"):
        return typed
    return f"python -m {spec.name.removesuffix('.__main__')}"


def run_tool(main: Callable[[], int | None]) -> NoReturn:
    """Run a program's `main` and leave the process.

    Exit codes: what `main` returns (None is 0); 2 after a fault that the user can correct, with one sentence on
    standard error; 130 after Ctrl-C and 143 after a SIGTERM that is handled. Other exceptions are faults of the
    program and keep their traceback; ACTIONDET_TRACEBACK=1 shows it for the user's faults, too.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: nothing to tell, and nobody to tell it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except (InputError, OSError) as fault:
        if os.environ.get("ACTIONDET_TRACEBACK"):
            raise
        print(f"{program_name()}: {describe(fault)}", file=sys.stderr)
        code = 2
    except StoppedBySignal as stop:
        print(f"{program_name()}: {stop}", file=sys.stderr)
        code = 128 + stop.number
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)


def describe(fault: Exception) -> str:
    """Say `fault` in one sentence; an OSError is told without its number."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
    return str(fault)
