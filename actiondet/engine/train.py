"""One explicit training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from lightning_fabric import Fabric
from torch import nn

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.data import Loaded
from actiondet.data.loading import worker_deaths_explained
from actiondet.engine.checkpoint import Progress, save_checkpoint
from actiondet.engine.devices import prepare_determinism, seed_step, share_buffers, total
from actiondet.engine.left_out import check_lost
from actiondet.engine.log import EpochRow, log_line
from actiondet.engine.optim import full_rate, set_rates
from actiondet.engine.profile import profiled
from actiondet.engine.run import Run, finished, save_last, start
from actiondet.engine.run_lock import RunLock
from actiondet.engine.schedule import count_falls
from actiondet.engine.step import train_step
from actiondet.engine.stopping import StopSignals, stopped
from actiondet.models.parts import rest
from evaluation.errors import InputError
from evaluation.progress import ProgressBar

Item = TypeVar("Item")


@worker_deaths_explained()
def train(
    config: DetectionConfig | RecognitionConfig,
    *,
    folder: Path,
    fabric: Fabric,
    resume: bool = False,
    overwrite: bool = False,
) -> float:
    """Train as `config` says and leave best.pt, last.pt, log.csv and curves.png in `folder`.

    Returns:
        The best validation score in [0, 1]: mAP@0.5 of a detector, top-1 of a recognizer.

    Raises:
        InputError: data or settings that cannot be used, or a folder that holds another run.
        StoppedBySignal: after SIGTERM or Ctrl-C, once the step is finished and saved.

    Example:
        >>> config = actiondet.load_config("small.yaml")
        >>> fabric = actiondet.launch()  # joins the processes of torchrun, if it started this one
        >>> best = actiondet.train(config, folder=Path("run"), fabric=fabric, overwrite=True)
        >>> sorted(path.name for path in Path("run").glob("*.pt"))
        ['best.pt', 'last.pt']
    """
    prepare_determinism(config.train)
    with ExitStack() as held:
        lock = held.enter_context(RunLock(folder)) if fabric.is_global_zero else None
        run = start(config, folder=folder, fabric=fabric, resume=resume, overwrite=overwrite)
        signals = held.enter_context(StopSignals())
        while run.progress.epoch < run.task.schedule.epochs:
            began = time.monotonic()
            train_epoch(run, signals)
            if lock is not None:
                lock.check()
            finish_epoch(run, signals, seconds=time.monotonic() - began)
            stop_where_asked(run, signals)
    if run.log is not None:
        run.log.close()
        if run.progress.skipped:
            log_line(f"left out: {run.progress.skipped} training clips, over all epochs, whose video could not be read")
    return run.progress.best


def stop_where_asked(run: Run, signals: StopSignals) -> None:
    """End the training after its step if a signal asked for it.

    Raises:
        StoppedBySignal: last.pt has been written; the run resumes exactly here.
    """
    number = signals.noted(run.fabric)
    if number:
        save_last(run)
        run.fabric.barrier()  # torchrun ends all processes when the first one ends
        raise stopped(number)


def train_epoch(run: Run, signals: StopSignals) -> None:
    """Run the rest of the epoch at which `run.progress` stands."""
    settings, schedule = run.config.train, run.task.schedule
    epoch = run.progress.epoch
    steps = schedule.steps_in(epoch)
    if run.progress.step == steps:  # it was stopped when it validated
        return
    bar = ProgressBar(
        f"epoch {epoch + 1}/{schedule.epochs}",
        steps,
        done=run.progress.step,
        shown=run.fabric.is_global_zero,
    )
    loader = run.task.loader(epoch=epoch, start=run.progress.step * settings.accumulate)
    saved = time.monotonic()
    run.model.train()
    rest(run.task.network, settings.freeze)
    if settings.freeze_norm:
        freeze_norm(run.model)
    groups: Iterable[list[Loaded[Any]]] = islice(grouped(loader, settings.accumulate), steps - run.progress.step)
    if settings.profile_steps and run.log is not None and epoch == 0:
        groups = profiled(groups, settings.profile_steps, run.folder)
    example = ""
    with bar:
        for group in groups:
            example = next((each.message for loaded in group for each in loaded.unreadable), example)
            loss = take_step(run, group)
            check_lost(run.progress, steps, limit=run.config.data.max_unreadable, example=example)
            bar.advance(f"loss {loss:.3f}")
            if time.monotonic() - saved > 60 * settings.save_minutes and run.progress.step < steps:
                save_last(run)
                saved = time.monotonic()
            if run.progress.step < steps:
                stop_where_asked(run, signals)


def take_step(run: Run, group: Sequence[Loaded[Any]]) -> float:
    """Change the weights once, by the gradients of a group of batches; returns the loss."""
    settings, progress, task = run.config.train, run.progress, run.task
    factor = task.schedule.lr_factor(progress.epoch, progress.step, falls=progress.falls)
    set_rates(run.optimizer, run.lr * factor)
    seed_step(settings.seed, progress.epoch, progress.step, run.fabric.global_rank)
    loss = train_step(
        run.model,
        group,
        run.optimizer,
        lambda loaded, normalizer: task.loss(run.model, loaded, normalizer=normalizer),
        terms=sum(map(task.count_terms, group)),
        fabric=run.fabric,
        clip_grad_norm=settings.clip_grad_norm,
    )
    if run.average is not None:
        run.average.update_parameters(task.network)
    note_step(run, loss, group)
    return loss


def note_step(run: Run, loss: float, group: Sequence[Loaded[Any]]) -> None:
    """Add a finished step to the run's progress and log.

    Raises:
        InputError: the loss is not finite.
    """
    progress, fabric = run.progress, run.fabric
    if not math.isfinite(loss):
        raise InputError(
            f"the loss is {loss} at epoch {progress.epoch + 1}, step {progress.step + 1}; "
            "lower train.base_lr, lengthen train.schedule.warmup_epochs or set train.clip_grad_norm"
        )
    read = total(fabric, float(sum(len(batch.clips) for loaded in group for batch in loaded.batches)))
    lost = int(total(fabric, float(sum(len(loaded.unreadable) for loaded in group))))
    run.progress = replace(
        progress,
        step=progress.step + 1,
        loss_sum=progress.loss_sum + loss,
        loss_steps=progress.loss_steps + 1,
        drawn=progress.drawn + int(read) + lost,
        lost=progress.lost + lost,
        skipped=progress.skipped + lost,
    )
    if run.log is not None:
        number = progress.step + sum(map(run.task.schedule.steps_in, range(progress.epoch)))
        run.log.step(number, loss=loss, lr=full_rate(run.optimizer))


def finish_epoch(run: Run, signals: StopSignals, *, seconds: float) -> None:
    """Validate, keep the checkpoints, write the epoch's row.

    Raises:
        StoppedBySignal: while it validates; the run resumes with the validation.
    """
    settings, done = run.config.train, run.progress.epoch + 1
    lost, drawn = run.progress.lost, run.progress.drawn
    if lost and run.log is not None:
        log_line(f"left out: {lost} of {drawn} training clips of epoch {done}, whose video could not be read")
    score = None
    if run.task.schedule.validates_after(run.progress.epoch):
        share_buffers(run.best_network)
        save_last(run)  # what was trained outlives a validation that fails
        with signals.at_once():
            score = run.task.validate(run.best_network)
    row = EpochRow(
        epoch=done,
        lr=full_rate(run.optimizer),
        loss=run.progress.loss_sum / max(run.progress.loss_steps, 1),
        score=score,
        skipped=run.progress.skipped,
        seconds=seconds,
    )
    better = score is not None and score > run.progress.best
    best = score if better and score is not None else run.progress.best
    stale = 0 if better else run.progress.stale + (score is not None)
    stale, falls = count_falls(settings.schedule, stale=stale, falls=run.progress.falls)
    run.progress = Progress(epoch=done, skipped=run.progress.skipped, best=best, stale=stale, falls=falls)
    if run.log is not None:
        run.log.epoch(row)
        if better:
            save_checkpoint(finished(run, score), run.folder / "best.pt")
        if settings.save_every is not None and done % settings.save_every == 0:
            save_checkpoint(finished(run, score), run.folder / f"epoch_{done:03d}.pt")
    save_last(run)


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
