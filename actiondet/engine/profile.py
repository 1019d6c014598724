"""What takes how long in training: torch's profiler around a few weight updates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

from actiondet.engine.log import log_line
from evaluation.files import atomic_path, write_text

Item = TypeVar("Item")
WARM_UP = 2
"""Steps before the first one that counts: caches and algorithms are found in them."""


def profiled(items: Iterable[Item], steps: int, folder: Path) -> Iterator[Item]:
    """Pass `items` on; of `steps` of them, after the first two, write profile.json and profile.txt into `folder`.

    What happens between two items is measured, and so is getting them.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    profiler = profile(activities=activities, record_shapes=True)
    running = False
    for number, item in enumerate(items):
        if number == WARM_UP:
            profiler.start()
            running = True
        if running and number == WARM_UP + steps:
            running = False
            _stop(profiler, folder)
        yield item
    if running:  # the epoch was shorter
        _stop(profiler, folder)


def _stop(profiler: profile, folder: Path) -> None:
    profiler.stop()
    with atomic_path(folder / "profile.json") as temporary:
        profiler.export_chrome_trace(str(temporary))
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    table = profiler.key_averages().table(sort_by=order, row_limit=25)
    write_text(folder / "profile.txt", table + "\n")
    log_line(f"wrote {folder / 'profile.json'} and {folder / 'profile.txt'}")
