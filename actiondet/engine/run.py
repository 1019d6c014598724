"""A training run: what it consists of, how it starts, how it is saved and taken up again."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from actiondet.config import DetectionConfig, RecognitionConfig, differing_settings, dump_config
from actiondet.engine.action_names import head_columns
from actiondet.engine.checkpoint import (
    Checkpoint,
    Progress,
    TrainingState,
    is_checkpoint,
    load_checkpoint,
    save_checkpoint,
    stored_actions,
)
from actiondet.engine.detection.task import DetectionTask
from actiondet.engine.devices import seed_step
from actiondet.engine.log import RunLog, describe_environment, log_line
from actiondet.engine.optim import build_groups, build_optimizer
from actiondet.engine.recognition.multigrid import MultigridTask
from actiondet.engine.recognition.task import RecognitionTask
from actiondet.engine.schedule import scaled_learning_rate
from actiondet.engine.task import Task
from actiondet.models.convolution import Conv3d
from actiondet.models.parts import freeze
from actiondet.models.weights import load_weights
from actiondet.models.weights.files import read_content
from evaluation.errors import InputError
from evaluation.files import write_text
from evaluation.tables import write_json

# Settings that a resumed run may change: they do not touch the weights that it has.
FREE_ON_RESUME = (
    "train.workers",
    "train.compile",
    "train.save_minutes",
    "train.save_every",
    "train.profile_steps",
    "train.validate_every",
    "data.keep_gib",
    "data.unreadable",
    "data.max_unreadable",
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

    config: DetectionConfig | RecognitionConfig
    fabric: Fabric
    task: Task
    model: _FabricModule
    optimizer: Optimizer
    average: AveragedModel | None
    lr: float
    folder: Path
    log: RunLog | None
    progress: Progress

    @property
    def best_network(self) -> nn.Module:
        """What is validated and kept: the moving average where there is one."""
        return self.average.module if self.average is not None else self.task.network


def start(
    config: DetectionConfig | RecognitionConfig, *, folder: Path, fabric: Fabric, resume: bool, overwrite: bool
) -> Run:
    """Build everything that a run needs, or take a run up where its last.pt stands."""
    last = folder / "last.pt"
    if last.exists() and not (resume or overwrite):
        raise InputError(f"{folder} holds a run already; --resume continues it, --overwrite replaces it")
    seed_step(config.train.seed)
    task = build_task(config, fabric)
    settings = config.train
    if settings.precision == "bf16-mixed" and fabric.device.type == "cpu":
        check_bfloat16(task.network)
    resuming = resume and last.exists()
    if settings.weights is not None and not resuming:
        content = read_content(Path(settings.weights))
        columns = head_columns(config, stored_actions(content) if is_checkpoint(content) else None)
        report = load_weights(
            task.network, settings.weights, allow=settings.weights_allow, columns=columns, content=content
        )
        if fabric.is_global_zero:
            log_line(str(report))
    lr = settings.base_lr
    if settings.scale_lr:
        lr = scaled_learning_rate(
            lr,
            batch=settings.batch,
            processes=fabric.world_size,
            accumulate=settings.accumulate,
            base_batch=settings.base_batch,
        )
    if settings.freeze:
        if settings.weights is None:
            raise InputError(
                f"train.freeze keeps {', '.join(settings.freeze)} as they are, which is random without train.weights; "
                "give --weights FILE, or 'published'"
            )
        freeze(task.network, settings.freeze)
    if fabric.device.type == "cuda":
        lay_channels_last(task.network)
    groups = build_groups(task.network, settings.optimizer)
    optimizer = build_optimizer(settings.optimizer, groups, lr=lr)
    average = None
    if settings.ema_decay is not None:
        averaging = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
        average = AveragedModel(task.network, multi_avg_fn=averaging, use_buffers=False)
        average.to(fabric.device)
    if settings.compile:
        check_compiler(fabric)
        task.network.backbone.compile()
    if fabric.world_size > 1:
        keep_gradient_strides(task.network)
    model, wrapped_optimizer = fabric.setup(task.network, optimizer)
    run = Run(
        config=config,
        fabric=fabric,
        task=task,
        model=model,
        optimizer=wrapped_optimizer,
        average=average,
        lr=lr,
        folder=folder,
        log=None,
        progress=Progress(),
    )
    if resuming:
        take_up(run, load_checkpoint(last, type(config)))
    elif fabric.is_global_zero and resume:
        log_line(f"{last} does not exist: starting from the beginning")
    if fabric.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        if overwrite and not resuming:
            remove_records(folder)
        run.log = RunLog(folder, epochs_done=run.progress.epoch, metric=task.metric)
        announce(run)
    return run


def check_compiler(fabric: Fabric) -> None:
    """Refuse to compile where torch would fail at the first step.

    Raises:
        InputError: torch.compile needs a C++ compiler on the processor, and there is none.
    """
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    if fabric.device.type == "cpu" and not any(name and shutil.which(name) for name in names):
        raise InputError(
            "train.compile needs a C++ compiler here, such as g++; install one, or set train.compile=false"
        )


def check_bfloat16(network: nn.Module) -> None:
    """Refuse to train in bfloat16 on the CPU where gradients could be wrong without a word.

    Raises:
        InputError: a convolution over time is not `actiondet.models.convolution.Conv3d`, which says why.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv3d) and not isinstance(module, Conv3d) and module.kernel_size[0] > 1:
            raise InputError(
                f"train.precision=bf16-mixed: gradients of {name}, a plain nn.Conv3d over {module.kernel_size[0]} "
                "frames, can be wrong on the CPU; use actiondet.models.convolution.Conv3d, or train.precision=32-true"
            )


def keep_gradient_strides(network: nn.Module) -> None:
    """Give the gradients of 1x1x1 kernels the strides of their weights.

    oneDNN's strides over axes of length 1 are others in bfloat16. It is the same memory, but DDP, which compares
    strides, warns of it at every start.
    """

    def usual(gradient: Tensor) -> Tensor:
        return gradient.flatten().view(gradient.shape) if gradient.is_contiguous() else gradient

    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.weight.requires_grad:
            module.weight.register_hook(usual)  # type: ignore[no-untyped-call]


def lay_channels_last(network: nn.Module) -> None:
    """Lay the weights of convolutions as a GPU reads them fastest; what flows through the network follows them."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)


def remove_records(folder: Path) -> None:
    """Remove what an earlier run left in `folder`, and nothing else."""
    for name in ("last.pt", "best.pt", "epoch_*.pt", "log.csv", "curves.png", "tensorboard/events.*"):
        for path in folder.glob(name):
            path.unlink()


def build_task(config: DetectionConfig | RecognitionConfig, fabric: Fabric) -> Task:
    """What `config` asks to train."""
    if isinstance(config, DetectionConfig):
        return DetectionTask(config, fabric)
    if config.multigrid is not None:
        return MultigridTask(config, config.multigrid, fabric)
    return RecognitionTask(config, fabric)


def announce(run: Run) -> None:
    """Write the resolved configuration and versions into the run's folder, and say how the rate was scaled."""
    settings = run.config.train
    write_text(run.folder / "config.yaml", dump_config(run.config))
    write_json(run.folder / "environment.json", describe_environment(settings.seed))
    total_batch = settings.batch * run.fabric.world_size * settings.accumulate
    reason = "as given (train.scale_lr is off)"
    if settings.scale_lr:
        reason = f"base_lr {settings.base_lr:g} x {total_batch} / base_batch {settings.base_batch}"
    log_line(
        f"total batch {total_batch}: {settings.batch} clips x {run.fabric.world_size} processes "
        f"x {settings.accumulate} accumulated"
    )
    log_line(f"learning rate {run.lr:g}: {reason}")


def finished(run: Run, score: float | None) -> Checkpoint[DetectionConfig | RecognitionConfig]:
    """The network as it is tested, without what only training needs."""
    return Checkpoint(run.config, run.best_network.state_dict(), run.task.actions, score)


def save_last(run: Run) -> None:
    """Write last.pt, from which the run resumes exactly here."""
    if not run.fabric.is_global_zero:
        return
    state = TrainingState(
        progress=run.progress,
        optimizer=run.optimizer.state_dict(),
        average=run.average.state_dict() if run.average is not None else None,
        precision=run.fabric.strategy.precision.state_dict(),
        processes=run.fabric.world_size,
        epoch_steps=run.task.schedule.steps_in(run.progress.epoch),
    )
    weights = run.task.network.state_dict()
    save_checkpoint(Checkpoint(run.config, weights, run.task.actions, training=state), run.folder / "last.pt")


def take_up(run: Run, checkpoint: Checkpoint[DetectionConfig | RecognitionConfig]) -> None:
    """Put `run` where `checkpoint` was written.

    Raises:
        InputError: the checkpoint was made with other settings, or within an epoch that is now divided differently.
    """
    state = checkpoint.training
    changed = differing_settings(checkpoint.config, run.config, ignored=FREE_ON_RESUME)
    if state is None or changed:
        raise InputError(
            f"{run.folder / 'last.pt'} was made with other settings ({'; '.join(changed)}); "
            "resume with the run's own config.yaml, or choose another --out"
        )
    processes, steps = run.fabric.world_size, run.task.schedule.steps_in(state.progress.epoch)
    if state.progress.step > 0 and (state.processes, state.epoch_steps) != (processes, steps):
        raise InputError(
            f"{run.folder / 'last.pt'} is at step {state.progress.step} of {state.epoch_steps} of an epoch with "
            f"{state.processes} processes, which now, with {processes}, would have {steps} steps; resume with as many "
            "processes and the same lists of videos"
        )
    run.task.network.load_state_dict(dict(checkpoint.weights))
    run.optimizer.load_state_dict(state.optimizer)
    if run.average is not None and state.average is not None:
        run.average.load_state_dict(state.average)
    run.fabric.strategy.precision.load_state_dict(state.precision)
    run.progress = state.progress
    if run.fabric.is_global_zero:
        if run.progress.epoch >= run.task.schedule.epochs:
            log_line(f"all {run.progress.epoch} epochs are done; a larger train.epochs starts a new --out")
            return
        place = f"step {run.progress.step + 1} of {steps}" if run.progress.step < steps else "its validation"
        log_line(f"resuming at epoch {run.progress.epoch + 1}, {place}")
