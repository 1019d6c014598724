"""Training a recognizer: what the loop asks of it."""

from __future__ import annotations

from itertools import islice
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from actiondet.config import RecognitionConfig
from actiondet.data import Loaded, TrainSampler
from actiondet.data.build import build_train_videos
from actiondet.data.labeled_videos import collate_videos
from actiondet.data.loading import Batches, make_loader
from actiondet.data.mixing import mix_clips
from actiondet.datasets.repeats import repeat_factors
from actiondet.engine.class_weights import example_weights
from actiondet.engine.indexing import index_videos
from actiondet.engine.left_out import check_missing, log_missing
from actiondet.engine.log import TOP_1, log_line
from actiondet.engine.recognition.testing import (
    Views,
    build_test_videos,
    build_video_loader,
    score_videos,
)
from actiondet.engine.schedule import PlainSchedule, Schedule
from actiondet.engine.task import Forward
from actiondet.models.build import build_recognizer
from actiondet.models.losses import action_loss
from actiondet.models.norm import measure_norm, set_splits
from actiondet.models.recognizer import ActionRecognizer
from actiondet.records import PlannedClips, VideoBatch
from evaluation.formats.ava import ActionList
from evaluation.recognition import recognition_accuracy


class RecognitionTask:
    """Training a recognizer on videos of one action each."""

    metric = TOP_1

    def __init__(self, config: RecognitionConfig, fabric: Fabric) -> None:
        self.config = config
        self.fabric = fabric
        self._epoch = self._batch = 0  # of the batch whose loss comes next
        self.network = build_recognizer(config.model)
        self._train = build_train_videos(
            config.data,
            clip=config.clip,
            transform=config.transform,
            num_classes=config.model.num_classes,
            seed=config.train.seed,
        )
        threshold, labels = config.train.repeat_threshold, self._train.videos.labels
        self._sampler = TrainSampler(
            len(self._train),
            seed=config.train.seed,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
            factors=None
            if threshold is None
            else repeat_factors(np.arange(len(labels)), labels, len(labels), threshold),
        )
        batches = Batches(self._sampler, config.train.batch)
        self.schedule: Schedule = PlainSchedule(config.train, len(batches))
        self._loader = make_loader(self._train, batches, workers=config.train.workers, collate=collate_videos)
        self._val = build_test_videos(config, Views(clips=1, crops=1, side=config.transform.val_crop))
        index_videos([self._train.videos.sources, self._val.videos.sources], fabric)
        self._val_loader = build_video_loader(self._val, config, fabric)
        classes = self._train.videos.classes
        self.actions = ActionList.numbered(classes)
        examples = np.bincount(labels, minlength=config.model.num_classes)
        self._example_weights = example_weights(config.train.loss.class_weight, self.actions, examples)
        parts = self._train.videos, self._val.videos
        missing = [len(part.missing) for part in parts]
        of = [len(part.missing) + len(set(part.names)) for part in parts]
        if any(missing) and fabric.is_global_zero:
            log_missing(missing, of)
        check_missing(missing[0], of[0], limit=config.data.max_unreadable)

    def loader(self, *, epoch: int, start: int) -> DataLoader[Loaded[VideoBatch]]:
        """Videos in the epoch's random order."""
        self._sampler.set_position(epoch=epoch, start=start * self.config.train.batch)
        self._epoch, self._batch = epoch, start
        return self._loader

    def count_terms(self, loaded: Loaded[VideoBatch]) -> int:
        """Clips."""
        loaded.check(self.config.data.unreadable)
        return sum(len(batch) for batch in loaded.batches)

    def loss(self, forward: Forward, loaded: Loaded[VideoBatch], *, normalizer: Tensor) -> Tensor:
        """Cross-entropy, focal if the settings say so, of clips that are mixed if they say so."""
        device = self.fabric.device
        classes = self.config.model.num_classes
        self._batch += 1
        if not loaded.batches:
            # A clip without label: its loss is zero, and the other processes need not wait for a gradient.
            side = self.config.transform.train_crop
            clips: Tensor | PlannedClips = torch.zeros(1, 3, self.config.clip.frames, side, side, dtype=torch.uint8)
            labels = torch.zeros(1, classes)
        else:
            clips = loaded.batches[0].clips
            labels = F.one_hot(loaded.batches[0].labels, classes).float()
        inputs, labels = self.network.normalize(clips.to(device)), labels.to(device)
        if self.config.mixing is not None and loaded.batches:
            # What is random follows from the place in the run, so that a resumed one mixes alike.
            place = (self.config.train.seed, self._epoch, self._batch, self.fabric.global_rank)
            inputs, labels = mix_clips(inputs, labels, random=np.random.default_rng(place), **dict(self.config.mixing))
        return action_loss(
            forward(inputs),
            labels,
            multi_label=False,
            focal_gamma=self.config.train.loss.focal_gamma,
            focal_alpha=self.config.train.loss.focal_alpha,
            example_weights=self._example_weights,
            normalizer=normalizer,
        )

    def validate(self, network: nn.Module) -> float:
        """Top-1 accuracy of the middle clip's center crop, after batch norm is measured if the settings say so."""
        if self.config.precise_norm:
            self._measure_norm(network)
        found = score_videos(
            cast(ActionRecognizer, network), self._val, self._val_loader, self.config, self.fabric, average="softmax"
        )
        left_out = len(self._val.videos.names) - len(found.videos)
        if left_out and self.fabric.is_global_zero:
            videos = len(self._val.videos.names)
            log_line(f"validation: {left_out} videos that cannot be read are left out, of {videos}")
        return recognition_accuracy(found.scores, found.labels).top(1)

    def _measure_norm(self, network: nn.Module) -> None:
        """Take the statistics of batch norm from `precise_norm` plain batches of this process and all others."""
        set_splits(network, 1)
        self._sampler.set_position(epoch=0)
        recognizer, device = cast(ActionRecognizer, network), self.fabric.device
        clips = (
            recognizer.normalize(loaded.batches[0].clips.to(device))
            for loaded in islice(self._loader, self.config.precise_norm)
            if loaded.batches
        )
        measure_norm(network, clips)
        for norm in network.modules():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm) and self.fabric.world_size > 1:
                assert norm.running_mean is not None
                assert norm.running_var is not None
                mean, variance = norm.running_mean.double(), norm.running_var.double()
                # As `aggregate`, of processes: the variance of all is the mean square less the square of the mean.
                mean, square = (
                    cast(Tensor, self.fabric.all_reduce(value, reduce_op="mean"))
                    for value in (mean, variance + mean.square())
                )
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(square - mean.square())
