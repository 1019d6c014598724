"""Training a recognizer by multigrid: what differs from plain training."""

from __future__ import annotations

import math

import torch
from lightning_fabric import Fabric
from torch.distributed import ProcessGroup
from torch.utils.data import DataLoader

from actiondet.config import RecognitionConfig
from actiondet.config.recognition import MultigridConfig
from actiondet.data import Loaded
from actiondet.data.labeled_videos import collate_videos
from actiondet.data.loading import make_loader
from actiondet.data.multigrid_plan import PlainRecipe, Plan, norm_plan, plan
from actiondet.data.multigrid_sampler import MultigridSampler
from actiondet.engine.recognition.task import RecognitionTask
from actiondet.engine.schedule import MultigridSchedule
from actiondet.models.norm import set_splits, use_split_norm
from actiondet.records import VideoBatch
from evaluation.errors import InputError


def plan_multigrid(config: RecognitionConfig, multigrid: MultigridConfig, *, processes: int) -> Plan:
    """The plan for the recipe that `config` describes."""
    schedule = config.train.schedule
    recipe = PlainRecipe(
        batch=config.train.batch * processes,
        frames=config.clip.frames,
        stride=config.clip.stride,
        crop=config.transform.train_crop,
        short_side=config.transform.train_short_side,
        steps=(0, *(int(step) for step in schedule.steps)),
        epochs=config.train.epochs,
        gamma=schedule.gamma,
    )
    return plan(
        recipe,
        long_cycle=multigrid.long_cycle,
        short_cycle=multigrid.short_cycle,
        epoch_factor=multigrid.epoch_factor,
    )


class MultigridTask(RecognitionTask):
    """Training a recognizer on clips whose size changes.

    Nothing is rebuilt when it does: convolutions take any size, the optimizer keeps its state, and batch norm learns
    into how many parts to split the next batches, or with how many processes to share small ones.
    """

    def __init__(self, config: RecognitionConfig, multigrid: MultigridConfig, fabric: Fabric) -> None:
        super().__init__(config, fabric)
        use_split_norm(self.network)
        self._norm_base = multigrid.norm_base
        self._groups: dict[int, ProcessGroup] = {}
        self._plan = plan_multigrid(config, multigrid, processes=fabric.world_size)
        self._stages_sampler = MultigridSampler(
            self._sampler, plan=self._plan, short_cycle=multigrid.short_cycle, batch=config.train.batch
        )
        self.schedule = MultigridSchedule(self._plan, self._stages_sampler, config.train, multigrid.validations)
        for stage in self._plan.stages:
            if stage.first < stage.end and self.schedule.steps_in(stage.first) == 0:
                raise InputError(
                    f"multigrid: epoch {stage.first + 1} takes up to {stage.batch_factor} times train.batch="
                    f"{config.train.batch} clips at once (with a short cycle, more), but a process has only "
                    f"{len(self._train) // fabric.world_size} videos; lower train.batch"
                )
        self._stages_loader = make_loader(
            self._train, batches=self._stages_sampler, workers=config.train.workers, collate=collate_videos
        )

    def loader(self, *, epoch: int, start: int) -> DataLoader[Loaded[VideoBatch]]:
        """Videos in the epoch's random order, as clips of its stage's sizes."""
        batch = self.config.train.batch * self._plan.stage_at(epoch).batch_factor
        norm = norm_plan(batch, base=self._norm_base)
        set_splits(self.network, norm.splits, group=self._processes(norm.devices))
        self._stages_sampler.set_position(epoch=epoch, start=start)
        return self._stages_loader

    def _processes(self, number: int) -> ProcessGroup | None:
        """This process and its neighbors, `number` of them as far as they share out evenly; None if it is alone."""
        size = math.gcd(number, self.fabric.world_size)
        if size > 1 and size not in self._groups:
            self._groups[size], _ = torch.distributed.new_subgroups(group_size=size)
        return self._groups.get(size)
