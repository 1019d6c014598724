"""One explicit training loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from actiondet.config import DetectionConfig, differing_settings, dump_config
from actiondet.data.loading import Loaded
from actiondet.engine.checkpoint import Checkpoint, Progress, TrainingState, load_checkpoint, save_checkpoint
from actiondet.engine.devices import prepare_determinism, seed_step
from actiondet.engine.log import EpochRow, ProgressBar, RunLog, describe_environment, say
from actiondet.engine.optim import build_optimizer, parameter_groups, scaled_learning_rate, schedule_factor
from actiondet.engine.task import DetectionTask, Task
from evaluation.errors import InputError
from evaluation.files import atomic_path

Item = TypeVar("Item")

# Settings that a resumed run may change: they do not touch its weights.
FREE_ON_RESUME = (
    "train.workers",
    "train.save_minutes",
    "train.save_every",
    "train.validate_every",
    "test.",
    "persons.",
)


@dataclass
class Run:
    """A training run under way.

    Attributes:
        model: the network as Fabric wraps it; `task.network` is the network itself.
        average: moving average of the weights, or None.
        lr: the full learning rate, before the schedule.
        log: in the first process only.
    """

    config: DetectionConfig
    fabric: Fabric
    task: Task
    model: nn.Module
    optimizer: Optimizer
    average: AveragedModel | None
    lr: float
    steps_per_epoch: int
    folder: Path
    log: RunLog | None
    progress: Progress

    @property
    def best_network(self) -> nn.Module:
        """What is validated and kept: the moving average where there is one."""
        return self.average.module if self.average is not None else self.task.network


def train(
    config: DetectionConfig, *, folder: Path, fabric: Fabric, resume: bool = False, overwrite: bool = False
) -> float:
    """Train as `config` says and leave best.pt, last.pt, log.csv and curves.png in `folder`.

    Returns:
        The best validation mAP in [0, 1].

    Raises:
        InputError: data or settings that cannot be used, or a folder that holds another run.
    """
    prepare_determinism(config.train)
    run = start(config, folder=folder, fabric=fabric, resume=resume, overwrite=overwrite)
    while run.progress.epoch < config.train.epochs:
        began = time.monotonic()
        train_epoch(run)
        finish_epoch(run, seconds=time.monotonic() - began)
    if run.log is not None:
        run.log.close()
    return run.progress.best


def start(config: DetectionConfig, *, folder: Path, fabric: Fabric, resume: bool, overwrite: bool) -> Run:
    """Build everything that a run needs, or take a run up where its last.pt stands."""
    last = folder / "last.pt"
    if last.exists() and not (resume or overwrite):
        raise InputError(f"{folder} holds a run already; --resume continues it, --overwrite replaces it")
    seed_step(config.train.seed)
    task = DetectionTask(config, fabric)
    settings = config.train
    lr = settings.base_lr
    if settings.scale_lr:
        lr = scaled_learning_rate(
            lr,
            batch=settings.batch,
            processes=fabric.world_size,
            accumulate=settings.accumulate,
            base_batch=settings.base_batch,
        )
    groups = parameter_groups(
        task.network,
        weight_decay=settings.optimizer.weight_decay,
        norm_weight_decay=settings.optimizer.norm_weight_decay,
    )
    optimizer = build_optimizer(settings.optimizer, groups, lr=lr)
    average = None
    if settings.ema_decay is not None:
        average = AveragedModel(task.network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=False)
        average.to(fabric.device)
    model, wrapped_optimizer = fabric.setup(task.network, optimizer)
    run = Run(
        config=config,
        fabric=fabric,
        task=task,
        model=model,
        optimizer=wrapped_optimizer,
        average=average,
        lr=lr,
        steps_per_epoch=-(-task.batches_per_epoch() // settings.accumulate),
        folder=folder,
        log=None,
        progress=Progress(),
    )
    if resume and last.exists():
        take_up(run, load_checkpoint(last))
    elif fabric.is_global_zero and resume:
        say(f"{last} does not exist: starting from the beginning")
    if fabric.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        run.log = RunLog(folder, epochs_done=run.progress.epoch)
        announce(run)
    return run


def announce(run: Run) -> None:
    """Write the resolved configuration and versions into the run's folder, and say how the rate was scaled."""
    settings = run.config.train
    with atomic_path(run.folder / "config.yaml") as temporary:
        temporary.write_text(dump_config(run.config))
    with atomic_path(run.folder / "environment.json") as temporary:
        temporary.write_text(json.dumps(describe_environment(settings.seed), indent=2))
    total = settings.batch * run.fabric.world_size * settings.accumulate
    reason = "as given (train.scale_lr is off)"
    if settings.scale_lr:
        reason = f"base_lr {settings.base_lr:g} x {total} / base_batch {settings.base_batch}"
    say(
        f"total batch {total} ({settings.batch} x {run.fabric.world_size} processes x {settings.accumulate} accumulated)"
    )
    say(f"learning rate {run.lr:g}: {reason}")


def train_epoch(run: Run) -> None:
    """Run the rest of the epoch at which `run.progress` stands."""
    settings = run.config.train
    epoch = run.progress.epoch
    bar = ProgressBar(
        f"epoch {epoch + 1}/{settings.epochs}",
        run.steps_per_epoch,
        done=run.progress.step,
        shown=run.fabric.is_global_zero,
    )
    loader = run.task.loader(start=run.progress.step * settings.accumulate, epoch=epoch)
    saved = time.monotonic()
    run.model.train()
    if settings.freeze_norm:
        freeze_norm(run.model)
    for group in grouped(loader, settings.accumulate):
        loss = take_step(run, group)
        bar.advance(f"loss {loss:.3f}")
        if time.monotonic() - saved > 60 * settings.save_minutes and run.progress.step < run.steps_per_epoch:
            save_last(run)
            saved = time.monotonic()
    bar.close()


def take_step(run: Run, group: Sequence[Loaded]) -> float:
    """Change the weights once, by the gradients of a group of batches; returns the loss."""
    settings, progress, fabric = run.config.train, run.progress, run.fabric
    place = {"epoch": progress.epoch, "step": progress.step}
    factor = schedule_factor(settings.schedule, **place, steps_per_epoch=run.steps_per_epoch, epochs=settings.epochs)
    for parameters in run.optimizer.param_groups:
        parameters["lr"] = run.lr * factor
    seed_step(settings.seed, progress.epoch, progress.step, fabric.global_rank)

    # Every person weighs the same, in whichever batch and process it is: the loss is divided by the terms of
    # all of them. DDP averages gradients over the processes, hence the mean and not the sum.
    terms = torch.tensor(float(sum(map(run.task.count_terms, group))), device=fabric.device)
    normalizer = fabric.all_reduce(terms, reduce_op="mean").clamp(min=1.0)
    loss = torch.zeros((), device=fabric.device)
    for position, loaded in enumerate(group):
        with fabric.no_backward_sync(run.model, enabled=position + 1 < len(group)):
            part = run.task.loss(run.model, loaded, normalizer=normalizer)
            fabric.backward(part)
        loss += part.detach()
    if settings.clip_grad_norm is not None:
        fabric.clip_gradients(run.model, run.optimizer, max_norm=settings.clip_grad_norm, error_if_nonfinite=False)
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.average is not None:
        run.average.update_parameters(run.task.network)
    return note_step(run, loss, skipped=sum(len(loaded.unreadable) for loaded in group))


def note_step(run: Run, loss: torch.Tensor, *, skipped: int) -> float:
    """Add a finished step to the run's progress and log; returns the loss over all processes."""
    mean = float(run.fabric.all_reduce(loss, reduce_op="mean"))
    total_skipped = int(run.fabric.all_reduce(torch.tensor(float(skipped), device=loss.device), reduce_op="sum"))
    progress = run.progress
    if not math.isfinite(mean):
        raise InputError(
            f"the loss is {mean} at epoch {progress.epoch + 1}, step {progress.step + 1}; "
            "lower train.base_lr, lengthen train.schedule.warmup_epochs or set train.clip_grad_norm"
        )
    run.progress = replace(
        progress,
        step=progress.step + 1,
        loss_sum=progress.loss_sum + mean,
        loss_steps=progress.loss_steps + 1,
        skipped=progress.skipped + total_skipped,
    )
    if run.log is not None:
        number = progress.epoch * run.steps_per_epoch + progress.step
        run.log.step(number, loss=mean, lr=run.optimizer.param_groups[0]["lr"])
    return mean


def finish_epoch(run: Run, *, seconds: float) -> None:
    """Validate, keep the checkpoints, write the epoch's row."""
    settings, done = run.config.train, run.progress.epoch + 1
    mean_ap = None
    if done % settings.validate_every == 0 or done == settings.epochs:
        mean_ap = run.task.validate(run.best_network)
    row = EpochRow(
        epoch=done,
        lr=run.optimizer.param_groups[0]["lr"],
        loss=run.progress.loss_sum / max(run.progress.loss_steps, 1),
        mean_ap=mean_ap,
        skipped=run.progress.skipped,
        seconds=seconds,
    )
    better = mean_ap is not None and mean_ap > run.progress.best
    best = mean_ap if better and mean_ap is not None else run.progress.best
    run.progress = Progress(epoch=done, skipped=run.progress.skipped, best=best)
    if run.log is not None:
        run.log.epoch(row)
        if better:
            save_checkpoint(finished(run, mean_ap), run.folder / "best.pt")
        if settings.save_every is not None and done % settings.save_every == 0:
            save_checkpoint(finished(run, mean_ap), run.folder / f"epoch_{done:03d}.pt")
    save_last(run)


def finished(run: Run, mean_ap: float | None) -> Checkpoint:
    """The network as it is tested, without what only training needs."""
    return Checkpoint(run.config, run.best_network.state_dict(), run.task.actions, mean_ap)


def save_last(run: Run) -> None:
    """Write last.pt, from which the run resumes exactly here."""
    if not run.fabric.is_global_zero:
        return
    state = TrainingState(
        progress=run.progress,
        optimizer=run.optimizer.state_dict(),
        average=run.average.state_dict() if run.average is not None else None,
        precision=run.fabric.strategy.precision.state_dict(),
    )
    weights = run.task.network.state_dict()
    save_checkpoint(Checkpoint(run.config, weights, run.task.actions, training=state), run.folder / "last.pt")


def take_up(run: Run, checkpoint: Checkpoint) -> None:
    """Put `run` where `checkpoint` was written.

    Raises:
        InputError: the checkpoint was made with other settings.
    """
    state = checkpoint.training
    changed = differing_settings(checkpoint.config, run.config, ignored=FREE_ON_RESUME)
    if state is None or changed:
        raise InputError(
            f"{run.folder / 'last.pt'} was made with other settings ({'; '.join(changed)}); "
            "resume with the run's own config.yaml, or choose another --out"
        )
    run.task.network.load_state_dict(dict(checkpoint.weights))
    run.optimizer.load_state_dict(state.optimizer)
    if run.average is not None and state.average is not None:
        run.average.load_state_dict(state.average)
    run.fabric.strategy.precision.load_state_dict(state.precision)
    run.progress = state.progress
    if run.fabric.is_global_zero:
        say(f"resuming at epoch {run.progress.epoch + 1}, step {run.progress.step + 1} of {run.steps_per_epoch}")


def freeze_norm(model: nn.Module) -> None:
    """Put batch norm into evaluation mode."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def grouped(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items; the last may be shorter."""
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
