"""What the programs of this folder have in common on the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_tools.output_folder import check_writable
from data_tools.preparing.coding import GOP, Coding
from evaluation.arguments import Parser
from evaluation.errors import InputError

if TYPE_CHECKING:
    from data_tools.preparing.jobs import Job
    from data_tools.preparing.prepare import Summary


def make_parser(
    description: str,
    sources: str,
    default_out: str,
    *,
    example: str,
    annotations: str | None = None,
    only_links: bool = False,
) -> argparse.ArgumentParser:
    """A parser with --videos, --annotations, --out, --processes and how videos are coded.

    Args:
        description: what it does and what it ends with.
        sources: where the official files are, for the end of the help.
        default_out: folder that the configurations read.
        example: a command line, for the end of the help.
        annotations: what the files of --annotations are; None leaves the option out.
        only_links: without --recode the program codes nothing.
    """
    parser = Parser(
        description=description,
        examples=[example],
        epilog=f"Official sources (nothing is downloaded from there):\n{sources}\n\nRun again after an interruption: "
        "what is finished is checked and kept.\nExit code 1: something is not there, prepared.csv in --out says why.",
    )
    parser.add_argument("--videos", type=Path, required=True, metavar="DIR", help="source videos, at any depth")
    parser.add_argument(
        "--out", type=Path, default=Path(default_out), metavar="DIR", help=f"folder to write to (default {default_out})"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="default: one for each CPU core"
    )
    parser.add_argument(
        "--gop",
        type=int,
        metavar="N",
        help=f"frames from one keyframe to the next (default {GOP}) of coded videos; fewer: larger files, read faster",
    )
    parser.add_argument(
        "--recode", action="store_true", help="re-encode every video as mp4, those too that could be linked as they are"
    )
    if annotations is not None:
        parser.add_argument("--annotations", type=Path, nargs="+", default=[], metavar="PATH", help=annotations)
    parser.set_defaults(only_links=only_links, sources=sources)
    parser.add_argument("--allow-missing", action="store_true", help="videos that were not found are not a failure")
    return parser


def do_jobs(arguments: argparse.Namespace, jobs: Sequence[Job], title: str) -> Summary:
    """Do the jobs, and print what became of them; where official files are, if some are missing."""
    from data_tools.preparing.prepare import prepare

    summary = prepare(arguments.out, jobs, processes=arguments.processes, title=title)
    print(summary)
    if summary.missing:
        print(f"official sources (nothing is downloaded from there):\n{arguments.sources}")
    return summary


def coding_of(arguments: argparse.Namespace) -> Coding:
    """How videos are to be coded."""
    return Coding(gop=arguments.gop or GOP, recode=arguments.recode)


def check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be meant.

    Raises:
        InputError: fewer than one process, a size that no video can have, keyframes of videos that are not coded,
            videos coded into the folder where they are, or a folder that cannot be written to.
    """
    if arguments.processes < 1:
        raise InputError(f"--processes {arguments.processes}: expected 1 or more")
    short_side = getattr(arguments, "short_side", None)
    if short_side is not None and short_side < 16:
        raise InputError(f"--short-side {short_side}: expected 16 pixels or more")
    only_links = arguments.only_links and not arguments.recode
    if arguments.gop is not None and arguments.gop < 1:
        raise InputError(f"--gop {arguments.gop}: expected 1 or more frames from one keyframe to the next")
    if arguments.gop is not None and only_links:
        raise InputError(f"--gop {arguments.gop}: the videos are linked as they are; give --recode to re-encode them")
    if not only_links and os.path.realpath(arguments.videos) == os.path.realpath(arguments.out):
        raise InputError(
            f"--out {arguments.out}: is the folder of --videos; outputs would be taken for sources, name another folder"
        )
    check_writable(arguments.out)
