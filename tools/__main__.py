"""Find who does what, where and when in video."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from typing import NoReturn

from evaluation.command_line import run_tool

PROGRAMS = {
    "look at videos": {
        "demo": "find the persons of a video, name their actions, draw both",
        "predict": "name what whole videos show",
        "detect-persons": "find the persons of many videos and write their boxes",
        "explain": "show where and when a detector looks for an action of a person",
        "link-tubes": "link frame detections into tubes",
        "suggest-videos": "rank unlabeled videos by what annotating them would teach",
    },
    "train and test": {
        "train-det": "train an action detector",
        "test-det": "test an action detector",
        "train-rec": "train a recognizer of whole videos",
        "test-rec": "test a recognizer of whole videos",
        "compare-runs": "hold training runs against each other",
        "export": "write a trained network as ONNX or torch.export file",
        "build-bank": "keep what a network sees of persons, for networks that remember",
        "convert-checkpoint": "convert weights of another toolkit, or describe them",
        "benchmark": "measure speed and memory on this machine",
    },
    "evaluate": {
        "eval-ava": "AVA frame-mAP",
        "eval-multisports": "MultiSports frame-mAP and video-mAP",
        "compare-results": "whether two results differ by more than chance",
        "choose-thresholds": "choose the score at which each action is called",
        "eval-persons": "AP and recall of person boxes",
        "eval-rec": "top-1 and top-5 of a dump of scores",
    },
    "configurations": {
        "zoo": "list the packaged configurations and their published weights",
        "copy-config": "write a packaged configuration to a file of your own",
    },
    "data": {
        "toy": "make the toy data set",
        "index-videos": "index the videos of a data set ahead of its training",
        "check-dataset": "find the faults of a data set before training does",
        "convert-annotations": "convert annotations of CVAT, COCO, YOLO, AVA",
        "prepare-ava": "cut and list AVA",
        "prepare-ava-kinetics": "cut and list AVA-Kinetics",
        "prepare-jhmdb": "check and list JHMDB",
        "prepare-kinetics": "cut and list Kinetics-400, 600 and 700",
        "prepare-multisports": "check and list MultiSports",
        "prepare-ucf101": "check and list UCF101 and UCF101-24",
    },
}
"""What each program does, as `actiondet --help` lists them, by group."""


def usage() -> str:
    """The programs in groups, a line each."""
    lines = ["usage: actiondet PROGRAM ...   (actiondet PROGRAM --help describes one)", "", str(__doc__)]
    for group, programs in PROGRAMS.items():
        lines += ["", f"{group}:", *(f"  {name:22}{text}" for name, text in programs.items())]
    lines += ["", "options:", "  --help                show this", "  --version             show the version"]
    return "\n".join(lines)


_KNOWN = [name for programs in PROGRAMS.values() for name in programs]


def _module(name: str) -> str:
    """The module that holds the `main` of a program."""
    module = name.replace("-", "_")
    if name in ("toy", "check-dataset", "convert-annotations"):
        return f"data_tools.{module}.__main__"
    return f"data_tools.{module}" if name.startswith("prepare-") else f"actiondet.cli.{module}"


def _to_complete() -> list[str]:
    """The program whose command line the shell wants completed; completes the program's name itself."""
    import argcomplete

    words = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])].split(" ")
    if len(words) > 2 and words[1] in _KNOWN:
        os.environ["_ARGCOMPLETE"] = "2"  # the program's own words begin at the second
        return [words[1]]
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("program", choices=sorted(_KNOWN))
    for option in ("--help", "--version"):
        parser.add_argument(option, action="store_true")
    argcomplete.autocomplete(parser)
    raise AssertionError("argcomplete leaves the process")


def main() -> NoReturn:
    """Run the program that the command line names."""
    run_tool(_main)


def _main() -> int | None:
    if "_ARGCOMPLETE" in os.environ:
        sys.argv = [sys.argv[0], *_to_complete()]
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from actiondet import __version__

        print(f"actiondet {__version__}")
        return 0
    name = arguments[0].removesuffix(".py").replace("_", "-")
    if name not in _KNOWN:
        near = difflib.get_close_matches(name, _KNOWN, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "`actiondet --help` lists the programs"
        print(f"actiondet: no program '{arguments[0]}'; {hint}", file=sys.stderr)
        return 2
    sys.argv = [f"actiondet {name}", *arguments[1:]]
    code: int | None = importlib.import_module(_module(name)).main()
    return code


if __name__ == "__main__":
    main()
