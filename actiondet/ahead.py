"""Parts of a pipeline at work at the same time: what the next part takes is made in a thread, a few items ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], most: int) -> Generator[Item, None, None]:
    """Yield `items`, which a thread makes; at most `most` of them wait.

    The thread starts with the first item that is asked for, and ends before this generator does: at the end of
    `items`, at their fault, which is raised here, or when this generator is closed. A generator of `items` is closed
    in its thread.

    Args:
        items: are iterated over in the thread.
        most: 1 or more.
    """
    made = _Made[Item](most)
    thread = threading.Thread(target=made.run, args=(items,), name="ahead", daemon=True)
    thread.start()
    try:
        yield from made
    finally:
        made.stop()
        thread.join()


@contextmanager
def closed(items: Iterable[object]) -> Iterator[None]:
    """Close `items` in the end, if they are a generator's, so that their threads and files end, too."""
    try:
        yield
    finally:
        if isinstance(items, Generator):
            items.close()


class _Made(Iterator[Item]):
    """The items that wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._ended = False
        self._fault: BaseException | None = None

    def run(self, items: Iterable[Item]) -> None:
        """Make items until nobody wants more; in the thread."""
        try:
            with closed(items):
                self._take(items)
        except BaseException as fault:  # raised where the items are used
            self._fault = fault
        finally:
            self.stop()

    def _take(self, items: Iterable[Item]) -> None:
        for item in items:
            with self._changed:
                self._changed.wait_for(lambda: len(self._waiting) < self._most or self._ended)
                if self._ended:
                    return
                self._waiting.append(item)
                self._changed.notify_all()

    def stop(self) -> None:
        """Let the other side wait no longer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                item = self._waiting.popleft()
                self._changed.notify_all()
                return item
        if self._fault is not None:
            raise self._fault
        raise StopIteration
