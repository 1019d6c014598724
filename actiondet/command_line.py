"""What several programs share on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evaluation.arguments import Parser
from evaluation.errors import InputError

if TYPE_CHECKING:
    from actiondet.config import DetectionConfig, RecognitionConfig


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG, key=value and --import, which need `parse_intermixed_args`."""
    config = parser.add_argument("config", help="zoo name (`actiondet zoo` lists them) or YAML file")
    config.completer = _complete_config  # type: ignore[attr-defined]  # argcomplete's
    add_settings(parser)
    add_import(parser)


def _complete_config(prefix: str, **_: object) -> list[str]:
    """Zoo names and YAML files that begin with `prefix`."""
    from actiondet.config.zoo import zoo_names

    files = [path.as_posix() for path in Path().glob(f"{prefix}*") if path.suffix == ".yaml" or path.is_dir()]
    return [*(name for name in zoo_names() if name.startswith(prefix)), *files]


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add key=value."""
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that win over the file's")


def add_import(parser: argparse._ActionsContainer) -> None:
    """Add --import, once for each module."""
    parser.add_argument(
        "--import", dest="modules", action="append", default=[], metavar="M", help="load a module first"
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add --weights, those of a trained network."""
    parser.add_argument("--weights", required=True, metavar="F", help="checkpoint, or 'published' to download it")


@contextmanager
def missing_files_of(config: str) -> Iterator[None]:
    """Say where the names of missing files come from, and what lists them all.

    Raises:
        InputError: instead of FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError as fault:
        raise InputError(
            f"{fault.filename or fault}: no such file; {config} names it, and `actiondet check-dataset {config}` lists "
            "all that is missing"
        ) from fault


def train_program(
    task: Literal["detection", "recognition"], *, description: str, score: str, examples: Sequence[str]
) -> None:
    """Parse the command line of a training, train, print the best score.

    Args:
        task: what is trained.
        description: of the program.
        score: name of what validation measures.
        examples: command lines, for the end of the help.
    """
    parser = Parser(description=description, examples=examples)
    add_config(parser)
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/<name of the config>)")
    parser.add_argument("--weights", metavar="F", help="checkpoint to start from, or 'published' to download it")
    parser.add_argument("--resume", action="store_true", help="go on where DIR/last.pt stands")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that DIR holds")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration and end")
    arguments = parser.parse_intermixed_args()

    config = _load(task, arguments, arguments.settings)
    if arguments.weights:
        from actiondet.models.weights.download import choose_weights

        weights = choose_weights(arguments.weights, config.published.pretraining)
        config = _load(task, arguments, [*arguments.settings, f"train.weights={weights!r}"])
    if arguments.print_config:
        from actiondet.config import dump_config

        print(dump_config(config), end="")
        return

    from actiondet.engine.devices import launch, leave
    from actiondet.engine.train import train

    fabric = launch(precision=config.train.precision)
    folder = Path(arguments.out or f"runs/{Path(arguments.config).stem}")
    with missing_files_of(arguments.config):
        best = train(config, folder=folder, fabric=fabric, resume=arguments.resume, overwrite=arguments.overwrite)
    if fabric.is_global_zero:
        print(f"best checkpoint: {folder / 'best.pt'}")
        print(f"{score} {best:.4f}")
    leave()


def _load(task: str, arguments: argparse.Namespace, settings: list[str]) -> DetectionConfig | RecognitionConfig:
    from actiondet.config import load_config, load_recognition_config

    load = load_config if task == "detection" else load_recognition_config
    return load(arguments.config, settings, modules=arguments.modules)
