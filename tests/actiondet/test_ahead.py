from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from actiondet.ahead import ahead


class Numbers:
    """Counts up to `count` and knows how far it has come, and in which thread it ends."""

    def __init__(self, count: int, *, fault: Exception | None = None) -> None:
        self.made = 0
        self.ended_in: threading.Thread | None = None
        self.reached = threading.Event()
        self._count, self._fault = count, fault

    def __call__(self) -> Iterator[int]:
        try:
            for number in range(self._count):
                self.made += 1
                if self.made == 3:
                    self.reached.set()
                yield number
            if self._fault is not None:
                raise self._fault
        finally:
            self.ended_in = threading.current_thread()


def test_all_items_come_in_order_from_another_thread() -> None:
    numbers = Numbers(100)
    assert list(ahead(numbers(), 3)) == list(range(100))
    assert numbers.ended_in not in (None, threading.current_thread())
    assert list(ahead([], 1)) == []


def test_a_few_items_are_made_ahead_and_no_more() -> None:
    numbers = Numbers(100)
    items = ahead(numbers(), 1)
    assert numbers.made == 0
    assert next(items) == 0
    assert numbers.reached.wait(60)  # one waits in the queue, the third for room
    for taken in range(1, 50):
        assert next(items) == taken
        assert numbers.made <= taken + 3
    items.close()
    assert numbers.made <= 52
    assert numbers.ended_in is not None


def test_a_fault_is_raised_where_the_items_are_used_after_those_before_it() -> None:
    items = ahead(Numbers(3, fault=OSError("no more"))(), 2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="no more"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


def test_a_fault_of_the_user_ends_the_thread() -> None:
    numbers = Numbers(100)

    def use() -> None:
        for item in ahead(numbers(), 2):
            if item == 5:
                raise KeyError("user")

    with pytest.raises(KeyError):
        use()
    assert not [each for each in threading.enumerate() if each.name == "ahead" and each is numbers.ended_in]
