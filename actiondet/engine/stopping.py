"""Signals that ask a training to stop: it finishes its step, saves, and can be resumed exactly there."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

from lightning_fabric import Fabric

from actiondet.engine.devices import total
from evaluation.errors import StoppedBySignal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Notes SIGTERM and SIGINT instead of ending the process; a second one ends it at once.

    Loading workers inherit it and ignore both: schedulers signal a whole group of processes, and a worker that dies
    takes the step with it. Workers end with their parent.
    """

    def __init__(self) -> None:
        self._noted = 0
        self._process = os.getpid()
        self._installs = threading.current_thread() is threading.main_thread()  # elsewhere Python refuses handlers
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def __enter__(self) -> StopSignals:
        if self._installs:
            for number in _SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installs:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        if self._noted:
            raise StoppedBySignal(number, "stopped before the step was saved")
        self._noted = number

    def noted(self, fabric: Fabric) -> int:
        """The signal that any of the processes has received; 0 if none has. All processes call this together."""
        # SIGTERM outweighs any number of SIGINTs; one sum over the processes says both.
        summed = total(fabric, {int(signal.SIGTERM): 1e6, int(signal.SIGINT): 1.0}.get(self._noted, 0.0))
        if summed >= 1e6:
            return signal.SIGTERM
        return signal.SIGINT if summed else 0
