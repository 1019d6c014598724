"""How long a training lasts, how fast it learns when, and when it is validated: pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from actiondet.config.schema import ScheduleConfig, TrainConfig
from actiondet.data.multigrid_plan import Plan
from actiondet.data.multigrid_sampler import MultigridSampler


class Schedule(Protocol):
    """What the training loop asks; epochs and steps count from 0."""

    @property
    def epochs(self) -> int:
        """Epochs of the whole training."""

    def steps_in(self, epoch: int) -> int:
        """Weight updates of `epoch`."""

    def lr_factor(self, epoch: int, step: int, *, falls: int = 0) -> float:
        """What the learning rate is multiplied by at `step` of `epoch`, lowered `falls` times by policy "plateau"."""

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

    def lr_factor(self, epoch: int, step: int, *, falls: int = 0) -> float:
        """Warm-up times policy; `max_steps` cuts the schedule off, it does not compress it."""
        schedule, epochs = self.settings.schedule, self.settings.epochs
        factor = schedule_factor(schedule, epoch=epoch, step=step, steps_per_epoch=self._whole, epochs=epochs)
        return factor * schedule.gamma**falls

    def validates_after(self, epoch: int) -> bool:
        """Every so many epochs, and at the end."""
        return (epoch + 1) % self.settings.validate_every == 0 or epoch + 1 == self.epochs


@dataclass(frozen=True)
class MultigridSchedule:
    """Epochs, learning rates and validations as the plan has them.

    Attributes:
        plan: of the training.
        sampler: knows how many batches an epoch has.
        settings: of the training.
        validations: in each stage, about; 0 for one every `validate_every` epochs.
    """

    plan: Plan
    sampler: MultigridSampler
    settings: TrainConfig
    validations: int

    @property
    def epochs(self) -> int:
        """As the plan has them."""
        return self.plan.epochs

    def steps_in(self, epoch: int) -> int:
        """As many as the sampler finds batches."""
        return self.sampler.batches_in(min(epoch, self.epochs - 1))

    def lr_factor(self, epoch: int, step: int, *, falls: int = 0) -> float:
        """Follows the batch of the stage, and falls at the steps; policy "plateau" is not for multigrid."""
        moment, warmup = epoch + step / self.steps_in(epoch), self.settings.schedule
        return self.plan.lr_factor(moment, warmup_epochs=warmup.warmup_epochs, warmup_start=warmup.warmup_start)

    def validates_after(self, epoch: int) -> bool:
        """So many times in each stage, or once more; or as in plain training."""
        if self.validations == 0:
            return (epoch + 1) % self.settings.validate_every == 0 or epoch + 1 == self.epochs
        return self.plan.validates_after(epoch, times=self.validations)


def scaled_learning_rate(base_lr: float, *, batch: int, processes: int, accumulate: int, base_batch: int) -> float:
    """The linear scaling rule (Goyal et al. 2017): `base_lr` belongs to a total batch of `base_batch` clips."""
    return base_lr * (batch * processes * accumulate) / base_batch


def schedule_factor(schedule: ScheduleConfig, *, epoch: int, step: int, steps_per_epoch: int, epochs: int) -> float:
    """What the learning rate is multiplied by at `step` (from 0) of `epoch` (from 0): warm-up times policy."""
    warmup = warmup_factor(schedule, epoch=epoch, step=step, steps_per_epoch=steps_per_epoch)
    moment = float(epoch) if schedule.update_every == "epoch" else epoch + step / steps_per_epoch
    if schedule.policy == "step":
        passed = sum(edge <= moment for edge in schedule.steps)
        return warmup * ((1.0, *schedule.factors)[passed] if schedule.factors else schedule.gamma**passed)
    if schedule.policy == "cosine":
        begin = schedule.warmup_epochs if schedule.cosine_from == "warmup" else 0.0
        return warmup * cosine_factor(moment, begin=begin, end=epochs, final=schedule.final)
    return warmup


def warmup_factor(schedule: ScheduleConfig, *, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Rises linearly from `warmup_start`; the last warm-up iteration (or epoch) is already at 1."""
    done, length = epoch, schedule.warmup_epochs
    if schedule.warmup_by == "iteration":
        done, length = epoch * steps_per_epoch + step, length * steps_per_epoch
    if length <= 1:
        return 1.0
    return schedule.warmup_start + (1 - schedule.warmup_start) * min(1.0, done / (length - 1))


def cosine_factor(moment: float, *, begin: float, end: float, final: float) -> float:
    """Half a cosine from 1 at `begin` to `final` at `end` (Loshchilov and Hutter 2017)."""
    if end <= begin:
        return 1.0
    share = min(max((moment - begin) / (end - begin), 0.0), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))


def count_falls(schedule: ScheduleConfig, *, stale: int, falls: int) -> tuple[int, int]:
    """Policy "plateau": `stale` validations without a new best score, and how many times the rate has fallen so far.

    Returns:
        The same from now on; the rate falls once there are more than `patience` such validations.
    """
    fell = schedule.policy == "plateau" and stale > schedule.patience
    return (0 if fell else stale), falls + fell
