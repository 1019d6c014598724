"""Check a data set before training: `python -m data_tools.check_dataset CONFIG [key=value ...]`."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import Parser, add_json, write_json_to
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import check_font, check_writable

if TYPE_CHECKING:
    from data_tools.check_dataset.findings import Report


def main() -> int:
    """Parse the command line, check, print."""
    parser = Parser(
        description="Read everything that a training run would read, and say what is wrong. "
        "Exit code 1 if training would fail or the mAP would be wrong.",
        examples=[
            "actiondet check-dataset own.yaml --sheet sheet.png",
            "actiondet check-dataset own.yaml --html page.html",
            "actiondet check-dataset own.yaml data.videos=videos --look 500 --json -",
        ],
    )
    parser.add_argument("config", type=Path, help="configuration of a detection or recognition run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as for training")
    add_json(parser, "the findings")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw boxes and labels to this file")
    parser.add_argument(
        "--html", type=Path, metavar="R.html", help="write a page of the findings, with pictures; a browser opens it"
    )
    parser.add_argument("--tiles", type=int, default=24, metavar="N", help="pictures on sheet and page (default 24)")
    parser.add_argument("--font", metavar="TTF", help="font of its names, where they are not in Latin letters")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="default: one a core")
    parser.add_argument(
        "--look", type=int, metavar="N", help="decode only N of the videos, spread evenly (default: all)"
    )
    arguments = parser.parse_intermixed_args()
    if arguments.look is not None and arguments.look < 1:
        raise InputError(f"--look {arguments.look}: expected 1 or more")
    check_font(arguments.font)
    if arguments.sheet is not None:
        if arguments.sheet.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise InputError(f"--sheet {arguments.sheet}: expected a name that ends in .png or .jpg")
        check_writable(arguments.sheet)
    if arguments.html is not None:
        check_writable(arguments.html)
    report = _check(arguments)
    _print(report)
    write_json_to(arguments.json, _as_json(report))
    return int(report.failed)


def _check(arguments: argparse.Namespace) -> Report:
    from actiondet.config import RecognitionConfig, load_config_by_task

    config = load_config_by_task(arguments.config, arguments.overrides)
    if isinstance(config, RecognitionConfig):
        from data_tools.check_dataset.labeled_videos import check_recognition

        report, tables, videos = check_recognition(config, processes=arguments.processes, look=arguments.look)
    else:
        from data_tools.check_dataset.check import check_detection

        report, tables, videos = check_detection(config, processes=arguments.processes, look=arguments.look)
    from data_tools.check_dataset.sheets import Pictures

    pictures, count = Pictures(config, tables, videos, report), max(2, arguments.tiles)
    if arguments.sheet is not None:
        from data_tools.check_dataset.contact_sheet import write_contact_sheet

        tiles = pictures.spread(count)
        drawn = write_contact_sheet(arguments.sheet, tiles, pictures.layout, font=arguments.font)
        report.facts.append(("sheet", str(arguments.sheet), f"{drawn} of {len(tiles)} pictures"))
    if arguments.html is not None:
        from data_tools.check_dataset.page import write_dataset_page

        write_dataset_page(arguments.html, pictures, report, tiles=count, font=arguments.font)
    return report


def _as_json(report: Report) -> dict[str, object]:
    return {
        "findings": [asdict(finding) for finding in report.findings],
        "facts": [list(fact) for fact in report.facts],
        "classes": json.loads(report.classes.to_json(orient="records")),
        "ok": not report.failed,
    }


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    facts = Table("split", "what", "value", title="What was read")
    for fact in report.facts:
        facts.add_row(*map(escape, fact))
    console.print(facts)
    if len(report.classes):
        classes = Table(*map(str, report.classes.columns), title="Examples of each action")
        for row in report.classes.itertuples(index=False):
            classes.add_row(*(escape(str(value)) for value in row))
        console.print(classes)
    errors = sum(finding.severity == "error" for finding in report.findings)
    for finding in report.findings:
        color = "red" if finding.severity == "error" else "yellow"
        console.print(f"[{color}]{finding.severity} {finding.code}[/]", soft_wrap=True)
        text = f"  {finding.where}: {finding.message}\n  -> {finding.remedy}"
        console.print(escape(text), highlight=False, soft_wrap=True)
    console.print(f"{errors} errors, {len(report.findings) - errors} warnings")


if __name__ == "__main__":
    run_tool(main)
