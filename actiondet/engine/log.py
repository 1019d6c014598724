"""What a run leaves behind to look at: log.csv, TensorBoard, a progress bar or sober lines, curves.png."""

from __future__ import annotations

import csv
import platform
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from actiondet.engine.scalar_events import ScalarEvents
from evaluation.files import atomic_path
from evaluation.messages import LOG
from evaluation.progress import ProgressBar

if TYPE_CHECKING:  # programs that run exported networks say what they do through here, without torch
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Metric:
    """What validation measures.

    Attributes:
        column: its name in log.csv.
        title: its name in print.
    """

    column: str
    title: str


MEAN_AP = Metric("mean_ap", "mAP@0.5")
TOP_1 = Metric("top_1", "top-1")


@dataclass(frozen=True)
class EpochRow:
    """One line of log.csv.

    Attributes:
        epoch: from 1.
        lr: learning rate at the epoch's end.
        loss: mean training loss.
        score: what validation measured, in [0, 1]; None where the epoch was not validated.
        skipped: clips left out so far because their video could not be read.
        seconds: wall time of the epoch.
    """

    epoch: int
    lr: float
    loss: float
    score: float | None
    skipped: int
    seconds: float


class RunLog:
    """The records of one training run in its folder; made in the first process only."""

    def __init__(self, folder: Path, *, epochs_done: int, metric: Metric = MEAN_AP) -> None:
        self.folder = folder
        self._metric = metric
        self._csv = folder / "log.csv"
        # A resumed run continues its own log; what an older run left beyond that point is dropped.
        self._rows = [row for row in read_log(self._csv) if row.epoch <= epochs_done] if epochs_done else []
        self._curves = ScalarEvents(folder / "tensorboard")

    def step(self, number: int, *, loss: float, lr: float) -> None:
        """Note one weight update, counted from the start of the run."""
        self._curves.add(number, {"train/loss": loss, "train/lr": lr})

    def epoch(self, row: EpochRow) -> None:
        """Note one finished epoch in log.csv and TensorBoard, and print it."""
        self._rows.append(row)
        with atomic_path(self._csv) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self._metric.column if field.name == "score" else field.name for field in fields(EpochRow))
            writer.writerows(astuple(each) for each in self._rows)
        score = ""
        if row.score is not None:
            self._curves.add(row.epoch, {f"val/{self._metric.column}": row.score})
            score = f"  {self._metric.title} {row.score:.4f}"
        skipped = f"  skipped clips {row.skipped}" if row.skipped else ""
        log_line(f"epoch {row.epoch}  loss {row.loss:.4f}  lr {row.lr:.2e}{score}{skipped}  {row.seconds:.0f} s")

    def close(self) -> None:
        """Draw curves.png."""
        if self._rows:
            draw_curves(self._rows, self.folder / "curves.png", metric=self._metric)


def read_log(path: Path) -> list[EpochRow]:
    """The rows of a log.csv; none if the file does not exist."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        metric = next(name for name in reader.fieldnames or () if name in (MEAN_AP.column, TOP_1.column))
        return [
            EpochRow(
                epoch=int(row["epoch"]),
                lr=float(row["lr"]),
                loss=float(row["loss"]),
                score=float(row[metric]) if row[metric] else None,
                skipped=int(row["skipped"]),
                seconds=float(row["seconds"]),
            )
            for row in reader
        ]


def draw_curves(rows: Sequence[EpochRow], path: Path, *, metric: Metric = MEAN_AP) -> None:
    """Draw loss, validation score and learning rate over the epochs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.add_subplot()
    epochs = [row.epoch for row in rows]
    left.plot(epochs, [row.loss for row in rows], color="tab:blue", marker="o", markersize=3, label="training loss")
    left.set_xlabel("epoch")
    left.set_ylabel("loss", color="tab:blue")
    right = left.twinx()
    scores = {row.epoch: row.score for row in rows if row.score is not None}
    right.plot(
        list(scores),
        list(scores.values()),
        color="tab:red",
        marker="o",
        markersize=3,
        label=f"validation {metric.title}",
    )
    peak = max((row.lr for row in rows), default=0.0) or 1.0
    right.fill_between(epochs, [row.lr / peak for row in rows], color="0.5", alpha=0.12, label="learning rate (scaled)")
    right.set_ylim(0, 1)
    right.set_ylabel(metric.title, color="tab:red")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def describe_environment(seed: int) -> dict[str, str | int]:
    """Versions and seed that a run's numbers depend on."""
    names = ["actiondet", "torch", "torchvision", "lightning-fabric", "numpy", "pandas", "av", "decord"]
    found: dict[str, str | int] = {"seed": seed, "python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def shared_bar(what: str, total: int, fabric: Fabric, *, done: int) -> ProgressBar:
    """The progress of this process's share of a job, which the first process alone shows; `done` were done before."""
    title = what if fabric.world_size == 1 else f"{what} of the first of {fabric.world_size} processes"
    return ProgressBar(title, total, done=done, shown=fabric.is_global_zero)


def log_line(line: str) -> None:
    """Log one line, past a progress bar."""
    LOG.info(line)
