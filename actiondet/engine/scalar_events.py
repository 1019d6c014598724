"""TensorBoard's event files, written at once and by the process itself."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ScalarEvents:
    """Curves of one run, which TensorBoard shows.

    `torch.utils.tensorboard.SummaryWriter` writes from a thread, whose faults (a full disk, a folder that has become
    read-only) end in that thread's traceback. Here they are an OSError of the call that met them.

    Args:
        folder: where the event file is made; made itself if it is missing.

    Raises:
        OSError: the file cannot be written, which it names.
    """

    def __init__(self, folder: Path) -> None:
        # TensorBoard reads the files of a folder in the order of their names.
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        self._append(file_version="brain.Event:2")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each of the named curves.

        Raises:
            OSError: as above.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]

        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._append(step=step, summary=Summary(value=points))

    def _append(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[attr-defined]
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = io.BytesIO()
        event = Event(wall_time=time.time(), **content)
        RecordWriter(record).write(event.SerializeToString())  # type: ignore[no-untyped-call]
        try:
            with self._path.open("ab") as file:
                file.write(record.getvalue())
        except OSError as fault:
            fault.filename = os.fspath(self._path)  # a fault of writing does not say where
            raise
