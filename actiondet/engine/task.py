"""What the training loop asks of a task: data, a loss, a score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from evaluation.frame_map import FrameMapResult
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from actiondet.config import DetectionConfig
from actiondet.data.keyframes import build_test_set, build_training_set
from actiondet.data.loading import Loaded, TrainSampler, build_loader
from actiondet.engine.test import score
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.losses import action_loss, count_elements
from actiondet.records import ClipBatch
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList

Forward = Callable[[Tensor, Sequence[Tensor]], Tensor]


class Task(Protocol):
    """A kind of training; the loop knows nothing else of it."""

    network: nn.Module
    actions: ActionList

    def loader(self, *, start: int, epoch: int) -> DataLoader[Loaded]:
        """This process's training batches of `epoch`, leaving out the first `start` of them."""

    def batches_per_epoch(self) -> int:
        """Batches that every process reads in an epoch."""

    def count_terms(self, loaded: Loaded) -> int:
        """How many terms the loss of `loaded` sums over."""

    def loss(self, forward: Forward, loaded: Loaded, *, normalizer: Tensor) -> Tensor:
        """Sum of the loss terms, divided by `normalizer`."""

    def validate(self, network: nn.Module) -> float:
        """The score in [0, 1] by which the best checkpoint is chosen; the same in every process."""


class DetectionTask:
    """Training a detector on key moments."""

    def __init__(self, config: DetectionConfig, fabric: Fabric) -> None:
        self.config = config
        self.fabric = fabric
        self.network: ActionDetector = build_detector(config.model)
        self._train = build_training_set(
            config.data,
            clip=config.clip,
            transform=config.transform,
            num_actions=config.model.num_actions,
            seed=config.train.seed,
        )
        self._val = build_test_set(
            config.data, clip=config.clip, transform=config.transform, num_actions=config.model.num_actions
        )
        self.actions = self._train.actions
        self.result: FrameMapResult | None = None

    def _sampler(self) -> TrainSampler:
        return TrainSampler(
            len(self._train),
            seed=self.config.train.seed,
            rank=self.fabric.global_rank,
            world_size=self.fabric.world_size,
        )

    def batches_per_epoch(self) -> int:
        return -(-len(self._sampler()) // self.config.train.batch)

    def loader(self, *, start: int, epoch: int) -> DataLoader[Loaded]:
        sampler = self._sampler()
        sampler.set_position(epoch=epoch, start=start * self.config.train.batch)
        return build_loader(self._train, sampler, batch=self.config.train.batch, workers=self.config.train.workers)

    def count_terms(self, loaded: Loaded) -> int:
        if loaded.unreadable and self.config.data.unreadable == "stop":
            raise InputError(loaded.unreadable[0].message + "; data.unreadable=skip leaves such clips out")
        multi_label = self.config.model.multi_label
        labels = [each for batch in loaded.batches for each in batch.labels or ()]
        return sum(int(count_elements(each, multi_label=multi_label)) for each in labels)

    def loss(self, forward: Forward, loaded: Loaded, *, normalizer: Tensor) -> Tensor:
        batch = loaded.batches[0] if loaded.batches else self._empty_batch()
        device = self.fabric.device
        assert batch.labels is not None
        logits = forward(self.network.normalize(batch.clips.to(device)), [boxes.to(device) for boxes in batch.boxes])
        return action_loss(
            logits,
            torch.cat(list(batch.labels)).to(device),
            multi_label=self.config.model.multi_label,
            focal_gamma=self.config.train.loss.focal_gamma,
            focal_alpha=self.config.train.loss.focal_alpha,
            normalizer=normalizer,
        )

    def _empty_batch(self) -> ClipBatch:
        """A clip without persons: its loss is zero, and the other processes need not wait for a gradient."""
        crop = self.config.transform.train_crop
        height, width = (crop, crop) if isinstance(crop, int) else crop
        clips = torch.zeros(1, 3, self.config.clip.frames, height, width, dtype=torch.uint8)
        labels = torch.zeros(0, self.config.model.num_actions)
        return ClipBatch(clips, [torch.zeros(0, 4)], [labels], [self._train.keys[0]])

    def validate(self, network: nn.Module) -> float:
        assert isinstance(network, ActionDetector)
        self.result = score(network, self._val, self.config, self.fabric)
        return self.result.mean_ap
