"""Find who does what, where and when in video."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from typing import NoReturn

from evaluation.command_line import run_tool

# By group: the program, the module that holds its `main`, and what it does.
PROGRAMS = {
    "look at videos": {
        "demo": ("actiondet.cli.demo", "find the persons of a video, name their actions, draw both"),
        "predict": ("actiondet.cli.predict", "name what whole videos show"),
        "detect-persons": ("actiondet.cli.detect_persons", "find the persons of many videos and write their boxes"),
        "explain": ("actiondet.cli.explain", "show where and when a detector looks for an action of a person"),
        "link-tubes": ("actiondet.cli.link_tubes", "link frame detections into tubes"),
        "suggest-videos": ("actiondet.cli.suggest_videos", "rank unlabeled videos by what annotating them would teach"),
    },
    "train and test": {
        "train-det": ("actiondet.cli.train_det", "train an action detector"),
        "test-det": ("actiondet.cli.test_det", "test an action detector"),
        "train-rec": ("actiondet.cli.train_rec", "train a recognizer of whole videos"),
        "test-rec": ("actiondet.cli.test_rec", "test a recognizer of whole videos"),
        "compare-runs": ("actiondet.cli.compare_runs", "hold training runs against each other"),
        "export": ("actiondet.cli.export", "write a trained network as ONNX or torch.export file"),
        "build-bank": ("actiondet.cli.build_bank", "keep what a network sees of persons, for networks that remember"),
        "convert-checkpoint": (
            "actiondet.cli.convert_checkpoint",
            "convert weights of another toolkit, or describe them",
        ),
        "benchmark": ("actiondet.cli.benchmark", "measure speed and memory on this machine"),
    },
    "evaluate": {
        "eval-ava": ("actiondet.cli.eval_ava", "AVA frame-mAP"),
        "eval-multisports": ("actiondet.cli.eval_multisports", "MultiSports frame-mAP and video-mAP"),
        "compare-results": ("actiondet.cli.compare_results", "whether two results differ by more than chance"),
        "choose-thresholds": (
            "actiondet.cli.choose_thresholds",
            "choose the score at which each action is called",
        ),
        "eval-persons": ("actiondet.cli.eval_persons", "AP and recall of person boxes"),
        "eval-rec": ("actiondet.cli.eval_rec", "top-1 and top-5 of a dump of scores"),
    },
    "configurations": {
        "zoo": ("actiondet.cli.zoo", "list the packaged configurations and their published weights"),
        "copy-config": ("actiondet.cli.copy_config", "write a packaged configuration to a file of your own"),
    },
    "data": {
        "toy": ("data_tools.toy.__main__", "make the toy data set"),
        "index-videos": ("actiondet.cli.index_videos", "index the videos of a data set ahead of its training"),
        "check-dataset": ("data_tools.check_dataset.__main__", "find the faults of a data set before training does"),
        "convert-annotations": (
            "data_tools.convert_annotations.__main__",
            "convert annotations of CVAT, COCO, YOLO, AVA",
        ),
        "prepare-ava": ("data_tools.prepare_ava", "cut and list AVA"),
        "prepare-ava-kinetics": ("data_tools.prepare_ava_kinetics", "cut and list AVA-Kinetics"),
        "prepare-jhmdb": ("data_tools.prepare_jhmdb", "check and list JHMDB"),
        "prepare-kinetics": ("data_tools.prepare_kinetics", "cut and list Kinetics-400, 600 and 700"),
        "prepare-multisports": ("data_tools.prepare_multisports", "check and list MultiSports"),
        "prepare-ucf101": ("data_tools.prepare_ucf101", "check and list UCF101 and UCF101-24"),
    },
}
"""What `actiondet --help` lists."""


def usage() -> str:
    """The programs in groups, a line each."""
    lines = ["usage: actiondet PROGRAM ...   (actiondet PROGRAM --help describes one)", "", str(__doc__)]
    for group, programs in PROGRAMS.items():
        lines += ["", f"{group}:", *(f"  {name:22}{text}" for name, (_, text) in programs.items())]
    lines += ["", "options:", "  --help                show this", "  --version             show the version"]
    return "\n".join(lines)


def _modules() -> dict[str, str]:
    """The module of each program."""
    return {name: module for programs in PROGRAMS.values() for name, (module, _) in programs.items()}


def _to_complete() -> list[str]:
    """The program whose command line the shell wants completed; completes the program's name itself."""
    import argcomplete

    words = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])].split(" ")
    if len(words) > 2 and words[1] in _modules():
        os.environ["_ARGCOMPLETE"] = "2"  # the program's own words begin at the second
        return [words[1]]
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("program", choices=sorted(_modules()))
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
    known = _modules()
    name = arguments[0].removesuffix(".py").replace("_", "-")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "`actiondet --help` lists the programs"
        print(f"actiondet: no program '{arguments[0]}'; {hint}", file=sys.stderr)
        return 2
    sys.argv = [f"actiondet {name}", *arguments[1:]]
    code: int | None = importlib.import_module(known[name]).main()
    return code


if __name__ == "__main__":
    main()
