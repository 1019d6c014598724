"""Test an action detector: python tools/test_det.py CONFIG --weights F --out DIR [--moments all|annotated] [--dump].

Writes DIR/detections.csv (AVA result format, every action score in full precision) and DIR/results.json.
Several processes: torchrun --nproc-per-node N tools/test_det.py CONFIG ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

from evaluation.command_line import run_tool


def main() -> None:
    parser = argparse.ArgumentParser(description="Test an action detector on the validation part of a data set.")
    parser.add_argument("config", help="YAML file of configs/")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that win over the file's")
    parser.add_argument("--weights", required=True, metavar="F", help="checkpoint, or 'published' to download it")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for detections.csv and results.json")
    parser.add_argument(
        "--moments",
        choices=["annotated", "all"],
        default="annotated",
        help="key moments with truth, or every one that has proposals (default: annotated)",
    )
    parser.add_argument("--dump", action="store_true", help="also write dense_scores.npz: every score of every person")
    parser.add_argument(
        "--control",
        choices=["none", "still", "reversed"],
        default="none",
        help="repeat each clip's key frame, or reverse its time: shows whether the network sees motion",
    )
    parser.add_argument(
        "--import", dest="modules", action="append", default=[], metavar="M", help="load a module first"
    )
    arguments = parser.parse_intermixed_args()

    from actiondet.config import load_config

    config = load_config(arguments.config, arguments.settings, modules=arguments.modules)

    from actiondet.engine.devices import launch, leave
    from actiondet.engine.test import run_test
    from actiondet.models.weights.download import choose_weights

    weights = choose_weights(arguments.weights, config.published.weights)
    fabric = launch(precision=config.train.precision)
    result = run_test(
        config,
        weights=weights,
        folder=Path(arguments.out),
        fabric=fabric,
        moments=arguments.moments,
        dump=arguments.dump,
        control=arguments.control,
    )
    if fabric.is_global_zero:
        print(
            f"moments: {arguments.moments}" + (f"; control: {arguments.control}" if arguments.control != "none" else "")
        )
        print(result)
    leave()


if __name__ == "__main__":
    run_tool(main)
