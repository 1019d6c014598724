"""Multigrid training against plain schedules of several lengths, in CPU time and accuracy.

Each run is a whole training by tools/train_rec.py in a process of its own: starting, reading, validating and saving
count. Accuracy is that after the last epoch, not the best of several validations. The plain schedule that multigrid is
held against is the shortest whose mean accuracy is within 0.01 of the best plain one. Runs whose results --out holds
are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.arguments import add_json, natural, positive, write_json_to
from evaluation.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from actiondet.config import RecognitionConfig

PLAIN, MULTIGRID = "configs/toy/recognition_slowonly_16x2.yaml", "configs/toy/recognition_multigrid.yaml"
NEAR_BEST = 0.01
"""Below the best plain accuracy, for a plain schedule to be compared with."""
ROUNDING = 1e-9
"""Of differences of accuracies, which are fractions of the videos."""
WANTED_TIME, WANTED_ACCURACY = 0.5, -0.03
"""Multigrid's CPU time as a share of the plain schedule's, and the change of accuracy: what is hoped for."""


@dataclass(frozen=True)
class Verdict:
    """How multigrid compares.

    Attributes:
        plain: row of the shortest plain schedule near the best.
        multigrid: row of what is compared with it.
        time: CPU time of multigrid as a share of the plain schedule's.
        accuracy: how much multigrid's top-1 lies above the plain one's.
        passed: whether both are as hoped for.
        longest: whether no longer plain schedule was tried.
    """

    plain: dict[str, Any]
    multigrid: dict[str, Any]
    time: float
    accuracy: float
    passed: bool
    longest: bool

    def __str__(self) -> str:
        longer = " (the longest that was tried: a longer one may be better, and takes longer)" if self.longest else ""
        return (
            f"shortest plain schedule within {NEAR_BEST} of the best: {self.plain['epochs']} epochs, "
            f"top-1 {self.plain['top_1']:.4f}, {self.plain['cpu_seconds']:.0f} CPU s{longer}\n"
            f"multigrid: {self.time:.2f} of its CPU time (wanted: at most {WANTED_TIME}), top-1 {self.accuracy:+.4f} "
            f"(wanted: at least {WANTED_ACCURACY}): {'as wanted' if self.passed else 'not as wanted'}"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py multigrid`."""
    parser.add_argument("plain", metavar="PLAIN", nargs="?", default=PLAIN, help=f"plain recipe ({PLAIN})")
    parser.add_argument("multigrid", metavar="MULTIGRID", nargs="?", default=MULTIGRID, help=f"({MULTIGRID})")
    parser.add_argument("--epochs", type=positive, nargs="+", default=[8, 12, 16], metavar="N", help="plain schedules")
    parser.add_argument("--seeds", type=natural, nargs="+", default=[0, 1, 2], metavar="N", help="runs of each (0 1 2)")
    parser.add_argument("--decode-again", action="store_true", help="decode each clip again instead of keeping videos")
    parser.add_argument("--settings", nargs="*", default=[], metavar="key=value", help="settings of all runs")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark_multigrid"), metavar="DIR", help="run folders")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Train what is not trained yet, and print."""
    import pandas as pd

    from actiondet.config import load_recognition_config

    kept = not arguments.decode_again
    shared = ["train.workers=0", f"data.keep_gib={16 if kept else 0}", *arguments.settings]
    plain = load_recognition_config(arguments.plain, shared)
    fast = load_recognition_config(arguments.multigrid, shared)
    schedules = [("plain", arguments.plain, epochs, _lengthened(plain, epochs)) for epochs in arguments.epochs]
    schedules.append(("multigrid", arguments.multigrid, fast.train.epochs, []))
    runs = []
    for seed in arguments.seeds:
        for kind, config, epochs, more in schedules:
            folder = arguments.out / f"{kind}_{epochs}_seed{seed}{'' if kept else '_anew'}"
            top_1, cpu = _trained(folder, config, [*shared, *more, f"train.seed={seed}"])
            runs.append((kind, epochs, seed, kept, top_1, cpu))
    table = pd.DataFrame(runs, columns=["kind", "epochs", "seed", "kept", "top_1", "cpu_seconds"])
    rows = means(table)
    verdict = judge(rows)
    print_table(rows)
    print(verdict)
    content = {"runs": table.to_dict("records"), "rows": rows.to_dict("records")}
    write_json_to(arguments.json, {**content, "verdict": asdict(verdict)})


def _lengthened(config: RecognitionConfig, epochs: int) -> list[str]:
    """The settings that stretch a recipe to `epochs`."""
    steps = [round(step * epochs / config.train.epochs, 3) for step in config.train.schedule.steps]
    return [f"train.epochs={epochs}", *([f"train.schedule.steps={steps}"] if steps else [])]


def _trained(folder: Path, config: str, settings: Sequence[str]) -> tuple[float, float]:
    """Top-1 and CPU seconds of a training; an earlier one's, if `folder` holds one of the same settings."""
    from actiondet.config import dump_config, load_recognition_config
    from actiondet.engine.log import read_log
    from evaluation.errors import InputError

    record = folder / "benchmark.json"
    asked = dump_config(load_recognition_config(config, settings))
    if record.is_file() and (earlier := json.loads(record.read_text()))["asked"] == asked:
        return earlier["top_1"], earlier["cpu_seconds"]
    tool = Path(__file__).parents[1] / "train_rec.py"
    command = [sys.executable, str(tool), config, "--out", str(folder), "--overwrite", *settings]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"the training {' '.join(command)} ended with exit code {process.returncode}")
    top_1 = read_log(folder / "log.csv")[-1].score
    assert top_1 is not None  # the last epoch is always validated
    cpu = used.ru_utime + used.ru_stime
    write_text(record, json.dumps({"asked": asked, "top_1": top_1, "cpu_seconds": cpu}))
    print(f"{folder.name}: top-1 {top_1:.4f}, {cpu:.0f} CPU s", flush=True)
    return top_1, cpu


def means(runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each schedule, in their order: kind, epochs, runs, and the means of top_1 and cpu_seconds."""
    of_schedule = runs.groupby(["kind", "epochs"], sort=False, as_index=False)
    return of_schedule.agg(runs=("top_1", "size"), top_1=("top_1", "mean"), cpu_seconds=("cpu_seconds", "mean"))


def judge(rows: pd.DataFrame) -> Verdict:
    """Compare multigrid with the shortest plain schedule that is near the best."""
    plain = rows[rows["kind"] == "plain"]
    near = plain[plain["top_1"] >= plain["top_1"].max() - NEAR_BEST - ROUNDING]
    held = near.sort_values("epochs").to_dict("records")[0]
    fast = rows[rows["kind"] == "multigrid"].to_dict("records")[0]
    time, accuracy = fast["cpu_seconds"] / held["cpu_seconds"], fast["top_1"] - held["top_1"]
    passed = time <= WANTED_TIME and accuracy >= WANTED_ACCURACY - ROUNDING
    return Verdict(held, fast, time, accuracy, passed, longest=bool(held["epochs"] == plain["epochs"].max()))


def print_table(rows: pd.DataFrame) -> None:
    """One line for each schedule."""
    from evaluation.tables import table_text

    columns = ["schedule", "epochs", "runs", "top-1", "CPU s"]
    lines = rows.assign(cpu_seconds=rows["cpu_seconds"].map("{:.0f}".format)).itertuples(index=False)
    print(table_text(columns, lines, numeric=columns[1:]))
