"""Train a recogniser of videos: python tools/train_rec.py CONFIG [key=value ...] [--weights F] [--resume] [--out DIR].

Several processes: torchrun --nproc-per-node N tools/train_rec.py CONFIG ...
"""

from __future__ import annotations

import argparse
from pathlib import Path

from evaluation.command_line import run_tool


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a recogniser of whole videos.")
    parser.add_argument("config", help="YAML file of configs/")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that win over the file's")
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/<name of the config>)")
    parser.add_argument("--weights", metavar="F", help="checkpoint to start from, or 'published' to download it")
    parser.add_argument("--resume", action="store_true", help="go on where DIR/last.pt stands")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that DIR holds")
    parser.add_argument(
        "--import", dest="modules", action="append", default=[], metavar="M", help="load a module first"
    )
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration and end")
    arguments = parser.parse_intermixed_args()

    from actiondet.config import dump_config, load_recognition_config

    config = load_recognition_config(arguments.config, arguments.settings, modules=arguments.modules)
    if arguments.weights:
        from actiondet.models.weights.download import choose_weights

        weights = choose_weights(arguments.weights, config.published.pretraining)
        settings = [*arguments.settings, f"train.weights={weights!r}"]
        config = load_recognition_config(arguments.config, settings, modules=arguments.modules)
    if arguments.print_config:
        print(dump_config(config), end="")
        return

    from actiondet.engine.devices import launch, leave
    from actiondet.engine.train import train

    fabric = launch(precision=config.train.precision)
    folder = Path(arguments.out or f"runs/{Path(arguments.config).stem}")
    best = train(config, folder=folder, fabric=fabric, resume=arguments.resume, overwrite=arguments.overwrite)
    if fabric.is_global_zero:
        print(f"best checkpoint: {folder / 'best.pt'}")
        print(f"top-1 {best:.4f}")
    leave()


if __name__ == "__main__":
    run_tool(main)
