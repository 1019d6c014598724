"""Processes, devices and numerical precision: the one place that knows Lightning Fabric."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from actiondet.config.schema import TrainConfig
from evaluation.errors import InputError

T = TypeVar("T")


def launch(*, precision: str = "32-true") -> Fabric:
    """Join the processes that `torchrun` started, or run as one process; a GPU is used where there is one.

    Apple's GPU (mps) is used by one process alone.

    Raises:
        InputError: there are GPUs, but fewer than processes.

    Example:
        >>> fabric = actiondet.launch()
        >>> fabric.world_size
        1
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if 0 < torch.cuda.device_count() < local:
        raise InputError(
            f"{local} processes on a machine with {torch.cuda.device_count()} GPUs; start one a GPU "
            f"(--nproc-per-node {torch.cuda.device_count()}), or set CUDA_VISIBLE_DEVICES= to use the CPU"
        )
    fabric = Fabric(
        accelerator=best_device() if processes == 1 else "cuda" if torch.cuda.is_available() else "cpu",
        devices=local,
        num_nodes=max(processes // local, 1),
        strategy="ddp" if processes > 1 else "auto",
        precision=precision,  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def best_device() -> str:
    """The kind of device that networks run on: cuda, else mps (Apple's GPU), else cpu."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_device(name: str) -> torch.device:
    """The device called `name`; of "auto" the best one of this machine.

    Raises:
        InputError: it is not here, or torch cannot use it.
    """
    if name == "auto":
        name = best_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as fault:
        reason = str(fault).splitlines()[0]
        raise InputError(f"--device {name}: torch cannot use it ({reason}); expected auto or cpu") from None


def total(fabric: Fabric, value: Tensor | float) -> float:
    """Sum of a number over all processes."""
    if fabric.world_size == 1:  # Apple's GPU, which has no float64, is used by one process only
        return float(value)
    number = torch.as_tensor(value, dtype=torch.float64, device="cpu").to(fabric.device)
    summed = fabric.all_reduce(number, reduce_op="sum")
    assert isinstance(summed, Tensor)
    return float(summed)


def gather_objects(value: T, fabric: Fabric) -> list[T]:
    """The `value` of every process, in their order, in every process."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def share_buffers(network: nn.Module) -> None:
    """Give all processes the buffers of the first: batch norm's statistics, of which each process has its own.

    Validation then judges the very network that the first process saves.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)


def leave() -> None:
    """Part from the other processes; without it gloo aborts at the interpreter's end."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def seed_step(seed: int, *place: int) -> None:
    """Seed torch's generators from the run's seed and a place in it (epoch, step, process).

    Dropout then draws the same whether a run went through or was resumed, without saving generator states.
    """
    state = np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(state))


def prepare_determinism(config: TrainConfig) -> None:
    """Choose algorithms that repeat bit by bit, where torch has them and the run asks for it."""
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
