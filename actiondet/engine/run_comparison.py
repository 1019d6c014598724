"""Several training runs side by side: the settings that differ, the best scores, the time, the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actiondet.config import DetectionConfig, RecognitionConfig, parse_config, setting_table
from actiondet.engine.log import MEAN_AP, TOP_1, EpochRow, Metric, read_log
from evaluation.errors import InputError
from evaluation.files import atomic_path, read_text
from evaluation.tables import table_text


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a training left in its folder.

    Attributes:
        name: of the folder, as it was given.
        config: what was trained.
        rows: its epochs, at least one.
    """

    name: str
    config: DetectionConfig | RecognitionConfig
    rows: tuple[EpochRow, ...]

    @property
    def metric(self) -> Metric:
        """What its validation measured."""
        return MEAN_AP if isinstance(self.config, DetectionConfig) else TOP_1

    @property
    def best(self) -> EpochRow | None:
        """The first epoch of the best score; None where no epoch was validated."""
        scored = [row for row in self.rows if row.score is not None]
        return max(scored, key=lambda row: (row.score or 0.0, -row.epoch), default=None)

    @property
    def seconds(self) -> float:
        """Wall time of all epochs."""
        return sum(row.seconds for row in self.rows)


@dataclass(frozen=True, eq=False)
class RunComparison:
    """Some runs, and the settings in which they differ: a dotted key and the value of each run."""

    runs: tuple[TrainedRun, ...]
    settings: tuple[tuple[str, tuple[object, ...]], ...]

    def __str__(self) -> str:
        columns = [
            "run",
            *(key for key, _ in self.settings),
            "epochs",
            self.runs[0].metric.title,
            "at epoch",
            "minutes",
        ]
        rows = [
            [
                run.name,
                *(str(values[place]) for _, values in self.settings),
                len(run.rows),
                "-" if run.best is None else f"{run.best.score:.4f}",
                "-" if run.best is None else run.best.epoch,
                f"{run.seconds / 60:.1f}",
            ]
            for place, run in enumerate(self.runs)
        ]
        return table_text(columns, rows, numeric=columns[-4:])

    def summary(self) -> list[dict[str, object]]:
        """What `--json` writes: a record for each run."""
        return [
            {
                "run": run.name,
                "settings": {key: values[place] for key, values in self.settings},
                "epochs": len(run.rows),
                "best": None if run.best is None else run.best.score,
                "best_epoch": None if run.best is None else run.best.epoch,
                "seconds": run.seconds,
            }
            for place, run in enumerate(self.runs)
        ]

    def save_curves(self, path: Path) -> None:
        """Draw loss and validation score of every run over the epochs."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 4.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        for run in self.runs:
            scores = {row.epoch: row.score for row in run.rows if row.score is not None}
            left.plot([row.epoch for row in run.rows], [row.loss for row in run.rows], marker="o", markersize=3)
            right.plot(list(scores), list(scores.values()), marker="o", markersize=3, label=run.name)
        left.set(xlabel="epoch", ylabel="training loss")
        right.set(xlabel="epoch", ylabel=f"validation {self.runs[0].metric.title}")
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=path.suffix.removeprefix(".") or "png", dpi=120)


def compare_runs(folders: Sequence[Path]) -> RunComparison:
    """Read the runs of some folders.

    Raises:
        InputError: a folder that holds no run, or one without a finished epoch, or detectors beside recognizers.
    """
    runs = tuple(map(_read, folders))
    if len({run.metric for run in runs}) > 1:
        detector = next(run.name for run in runs if run.metric is MEAN_AP)
        other = next(run.name for run in runs if run.metric is not MEAN_AP)
        raise InputError(f"{detector} trains a detector and {other} a recognizer; expected runs of one kind")
    return RunComparison(runs, setting_table([run.config for run in runs]))


def _read(folder: Path) -> TrainedRun:
    config, log = folder / "config.yaml", folder / "log.csv"
    if not config.is_file():
        raise InputError(f"{folder}: holds no config.yaml; expected the run folder of a training (its --out)")
    rows = read_log(log)
    if not rows:
        raise InputError(f"{log}: holds no finished epoch; wait for the first one, or leave this run out")
    return TrainedRun(str(folder), parse_config(read_text(config), source=str(config)), tuple(rows))
