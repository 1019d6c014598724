"""Training a detector on key moments: its data, its loss, its score."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from actiondet.config import DetectionConfig
from actiondet.data import (
    EvaluationSet,
    KeyMomentDataset,
    Loaded,
    TrainSampler,
    build_loader,
    build_test_set,
    build_training_set,
)
from actiondet.engine.class_weights import example_weights
from actiondet.engine.detection.testing import build_test_loader, validate
from actiondet.engine.indexing import index_videos
from actiondet.engine.left_out import check_missing, log_missing
from actiondet.engine.log import MEAN_AP, log_line
from actiondet.engine.schedule import PlainSchedule, Schedule
from actiondet.engine.task import Forward
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.losses import action_loss, count_elements
from actiondet.records import ClipBatch, ClipMemory


class DetectionTask:
    """Training a detector on key moments."""

    metric = MEAN_AP

    def __init__(self, config: DetectionConfig, fabric: Fabric) -> None:
        self.config = config
        self.fabric = fabric
        self.network = build_detector(config.model)
        self._train = build_training_set(
            config.data,
            clip=config.clip,
            transform=config.transform,
            num_actions=config.model.num_actions,
            seed=config.train.seed,
            tracks=self.network.head.follows_tracks,
            bank=config.model.bank,
        )
        threshold = config.train.repeat_threshold
        self._sampler = TrainSampler(
            len(self._train),
            seed=config.train.seed,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
            factors=None if threshold is None else self._train.repeat_factors(threshold),
        )
        self.schedule: Schedule = PlainSchedule(config.train, -(-len(self._sampler) // config.train.batch))
        self._loader = build_loader(self._train, self._sampler, batch=config.train.batch, workers=config.train.workers)
        self._val = build_test_set(
            config.data,
            clip=config.clip,
            transform=config.transform,
            num_actions=config.model.num_actions,
            tracks=self.network.head.follows_tracks,
            short_sides=config.test.short_sides,
            bank=config.model.bank,
        )
        index_videos([self._train.videos, self._val.videos], fabric)
        self._val_loader = build_test_loader(self._val, config, fabric)
        self.actions = self._train.actions
        # Of a choice of actions, whoever does none of them is an example of what they are not.
        self._count_idle = self.actions.places is not None
        self._example_weights = example_weights(
            config.train.loss.class_weight, self.actions, self._train.label_counts()
        )
        if fabric.is_global_zero:
            log_left_out(self._train, self._val)
        if missing := len(self._train.missing):
            check_missing(missing, missing + _count_videos(self._train), limit=config.data.max_unreadable)
        if fabric.is_global_zero and threshold is not None:
            length = len(self._sampler) * fabric.world_size
            log_line(f"repeat-factor sampling: {length} clips an epoch instead of {len(self._train)}")

    def loader(self, *, epoch: int, start: int) -> DataLoader[Loaded[ClipBatch]]:
        """Key moments in the epoch's random order."""
        self._sampler.set_position(epoch=epoch, start=start * self.config.train.batch)
        return self._loader

    def count_terms(self, loaded: Loaded[ClipBatch]) -> int:
        """Persons who do something, times actions unless each person does exactly one."""
        loaded.check(self.config.data.unreadable)
        multi_label = self.config.model.multi_label
        labels = [each for batch in loaded.batches for each in batch.labels or ()]
        return sum(int(count_elements(each, multi_label=multi_label, count_idle=self._count_idle)) for each in labels)

    def loss(self, forward: Forward, loaded: Loaded[ClipBatch], *, normalizer: Tensor) -> Tensor:
        """Cross-entropy, focal if the settings say so."""
        batch = loaded.batches[0] if loaded.batches else self._empty_batch()
        device = self.fabric.device
        assert batch.labels is not None
        inputs = self.network.normalize(batch.clips.to(device)), [boxes.to(device) for boxes in batch.boxes]
        memory = batch.memory(device)
        logits = forward(*inputs) if memory is None else forward(*inputs, memory)
        return action_loss(
            logits,
            torch.cat(list(batch.labels)).to(device),
            multi_label=self.config.model.multi_label,
            focal_gamma=self.config.train.loss.focal_gamma,
            focal_alpha=self.config.train.loss.focal_alpha,
            example_weights=self._example_weights,
            count_idle=self._count_idle,
            normalizer=normalizer,
        )

    def _empty_batch(self) -> ClipBatch:
        """A clip without persons: its loss is zero, and the other processes need not wait for a gradient."""
        crop = self.config.transform.train_crop
        height, width = (crop, crop) if isinstance(crop, int) else crop
        clips = torch.zeros(1, 3, self.config.clip.frames, height, width, dtype=torch.uint8)
        labels = torch.zeros(0, self.config.model.num_actions)
        memories = None
        if (bank := self.config.model.bank) is not None:
            slots = bank.window * bank.persons
            memories = [ClipMemory(torch.zeros(slots, bank.channels), torch.zeros(slots, dtype=torch.bool))]
        return ClipBatch(clips, [torch.zeros(0, 4)], [labels], [self._train.keys[0]], memories)

    def validate(self, network: nn.Module) -> float:
        """Frame-mAP@0.5 on the annotated validation moments, by the rules of the data set's benchmark."""
        assert isinstance(network, ActionDetector)
        return validate(network, self._val, self._val_loader, self.config, self.fabric).mean_ap


def log_left_out(train: KeyMomentDataset, val: EvaluationSet) -> None:
    """Say which moments take no part, if there are any: they cost accuracy silently."""
    for note in dict.fromkeys([*train.notes, *val.notes]):
        log_line(note)
    if train.missing or val.missing:
        missing = [len(each.missing) for each in (train, val)]
        log_missing(missing, [len(each.missing) + _count_videos(each) for each in (train, val)])
    if val.without_persons:
        log_line(f"validation: {val.without_persons} key frames have no proposals; nobody is found there")


def _count_videos(each: KeyMomentDataset | EvaluationSet) -> int:
    return len({key.video for key in each.keys})
