"""What the training loop asks of a task: data, a loss, a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils.data import DataLoader

from actiondet.data import Loaded
from actiondet.engine.log import Metric
from actiondet.engine.schedule import Schedule
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from evaluation.formats.ava import ActionList

Forward = Callable[..., Tensor]
"""The network as it is called in training, which Fabric wraps."""


class Task(Protocol):
    """A kind of training; the loop knows nothing else of it.

    Attributes:
        actions: what its output columns stand for.
        metric: what `validate` measures.
        schedule: how long it is trained, how fast and when it is validated.
    """

    metric: Metric
    actions: ActionList
    schedule: Schedule

    @property
    def network(self) -> ActionDetector | ActionRecognizer:
        """What is trained."""

    def loader(self, *, epoch: int, start: int) -> DataLoader[Loaded[Any]]:
        """This process's training batches of `epoch`, leaving out the first `start` of them."""

    def count_terms(self, loaded: Loaded[Any]) -> int:
        """How many terms the loss of `loaded` sums over."""

    def loss(self, forward: Forward, loaded: Loaded[Any], *, normalizer: Tensor) -> Tensor:
        """Sum of the loss terms, divided by `normalizer`."""

    def validate(self, network: nn.Module) -> float:
        """The score in [0, 1] by which the best checkpoint is chosen; the same in every process."""
