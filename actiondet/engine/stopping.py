"""Signals that ask a training to stop: it finishes its step, saves, and can be resumed exactly there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from lightning_fabric import Fabric

from actiondet.engine.devices import total
from evaluation.errors import StoppedBySignal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stopped(number: int) -> StoppedBySignal:
    """What ends a training that has been saved."""
    return StoppedBySignal(number, f"stopped by {signal.Signals(number).name}; --resume continues exactly here")


class StopSignals:
    """Notes SIGTERM and SIGINT instead of ending the process; a second one ends it at once.

    Under torchrun a second one changes nothing: a scheduler signals both the process and torchrun, which passes the
    signal on, and kills what has not ended after 30 seconds.

    Loading workers inherit it and ignore both: schedulers signal a whole group of processes, and a worker that dies
    takes the step with it. Workers end with their parent.
    """

    def __init__(self) -> None:
        self._noted = 0
        self._at_once = False
        self._repeated = torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()
        self._process = os.getpid()
        self._installs = threading.current_thread() is threading.main_thread()  # elsewhere Python refuses handlers
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def __enter__(self) -> StopSignals:
        if self._installs:
            for number in _SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._installs:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        second, self._noted = self._noted, number
        if self._at_once:
            self._at_once = False
            raise stopped(number)
        if second and not self._repeated:
            raise StoppedBySignal(number, "stopped before the step was saved")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal end the process wherever it is, because all that matters has been saved.

        Raises:
            StoppedBySignal: on a signal, also on one that came before.
        """
        self._at_once = True
        try:
            if self._noted:
                raise stopped(self._noted)
            yield
        finally:
            self._at_once = False

    def noted(self, fabric: Fabric) -> int:
        """The signal that any of the processes has received; 0 if none has. All processes call this together."""
        # SIGTERM outweighs any number of SIGINTs; one sum over the processes says both.
        summed = total(fabric, {int(signal.SIGTERM): 1e6, int(signal.SIGINT): 1.0}.get(self._noted, 0.0))
        if summed >= 1e6:
            return signal.SIGTERM
        return signal.SIGINT if summed else 0
