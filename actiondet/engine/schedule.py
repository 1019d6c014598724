"""How long a training lasts, how fast it learns when, and when it is validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from actiondet.config.schema import TrainConfig
from actiondet.engine.optim import schedule_factor


class Schedule(Protocol):
    """What the training loop asks; epochs and steps count from 0."""

    @property
    def epochs(self) -> int:
        """Epochs of the whole training."""

    def steps_in(self, epoch: int) -> int:
        """Weight updates of `epoch`."""

    def lr_factor(self, epoch: int, step: int) -> float:
        """What the learning rate is multiplied by at `step` of `epoch`."""

    def validates_after(self, epoch: int) -> bool:
        """Whether the network is validated at the end of `epoch`."""


@dataclass(frozen=True)
class PlainSchedule:
    """Every epoch is as long as the others.

    Attributes:
        settings: of the training.
        batches: that a process reads in an epoch.
    """

    settings: TrainConfig
    batches: int

    @property
    def epochs(self) -> int:
        """As the settings say, or as many as `max_steps` reaches into."""
        if self.settings.max_steps is None:
            return self.settings.epochs
        return min(self.settings.epochs, -(-self.settings.max_steps // self._whole))

    def steps_in(self, epoch: int) -> int:
        """One for every `accumulate` batches, up to `max_steps` in all."""
        if self.settings.max_steps is None:
            return self._whole
        return max(min(self._whole, self.settings.max_steps - epoch * self._whole), 0)

    @property
    def _whole(self) -> int:
        """Steps of an epoch that is not cut short."""
        return -(-self.batches // self.settings.accumulate)

    def lr_factor(self, epoch: int, step: int) -> float:
        """Warm-up times policy; `max_steps` cuts the schedule off, it does not compress it."""
        return schedule_factor(
            self.settings.schedule,
            epoch=epoch,
            step=step,
            steps_per_epoch=self._whole,
            epochs=self.settings.epochs,
        )

    def validates_after(self, epoch: int) -> bool:
        """Every so many epochs, and at the end."""
        return (epoch + 1) % self.settings.validate_every == 0 or epoch + 1 == self.epochs
